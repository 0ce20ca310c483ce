import NIOCore
import TesseraCore
import TesseraModel

/// Lends this node's blobs to peers.
struct StoredBlobs: BlobSource {
    let store: BlobStore

    func read(
        _ blob: BlobID, isManifest: Bool, offset: Int, length: Int
    ) throws -> BlobPiece {
        let item = StoreItem(blob, isManifest: isManifest)
        guard let total = store.byteCount(of: item), store.contains(item) else {
            throw BlobSourceError.missing
        }
        let wanted = max(0, min(length, total - offset))
        var bytes = ByteBufferAllocator().buffer(capacity: wanted)
        do {
            _ = try bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { space in
                try store.read(
                    item, at: offset,
                    into: UnsafeMutableRawBufferPointer(rebasing: space[..<wanted]))
            }
        } catch {
            throw BlobSourceError.unreadable
        }
        return BlobPiece(bytes: bytes, totalByteCount: total)
    }
}

/// Takes a blob from a peer into the store; the store checks its hash at the end.
struct IncomingBlob: BlobSink {
    let store: BlobStore
    let item: StoreItem

    func write(_ bytes: ByteBuffer, at offset: Int, totalByteCount: Int) throws {
        _ = try bytes.withUnsafeReadableBytes { bytes in
            try store.append(bytes, to: item, at: offset, totalByteCount: totalByteCount)
        }
    }

    func finish(totalByteCount: Int) throws {
        if totalByteCount == 0 {
            try store.append(
                UnsafeRawBufferPointer(start: nil, count: 0), to: item, at: 0, totalByteCount: 0)
        }
        try store.commit(item)
    }
}

extension StoreItem {
    /// The item that a blob id of the protocol names; manifests travel as blobs.
    init(_ blob: BlobID, isManifest: Bool) {
        let words = blob.words
        self =
            isManifest
            ? .manifest(ManifestID(words.0, words.1, words.2, words.3)) : .blob(blob)
    }
}
