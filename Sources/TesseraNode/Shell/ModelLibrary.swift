import NIOCore
import Synchronization
import TesseraCore
import TesseraEngine
public import TesseraModel

/// The models on this node's disk: blobs and manifests, and what was derived from the manifests.
///
/// Every call may touch the disk, so none is made on an event loop.
public final class ModelLibrary: Sendable {
    /// The blobs and manifests.
    public let store: BlobStore
    private let cutters = Mutex<[ManifestID: ModelCutter]>([:])

    init(path: String, quotaBytes: Int) throws(BlobStoreError) {
        store = try BlobStore(path: path, quotaBytes: quotaBytes)
    }

    /// The models whose manifests are here and sound, with the blobs that are here.
    func restore() -> [(outline: ModelOutline, blobs: [Int])] {
        store.items.compactMap { item in
            guard case .manifest(let id) = item else { return nil }
            // A damaged manifest was moved away by the store and will be fetched again.
            return try? outlineWithBlobs(id)
        }
    }

    /// The outline of a model whose manifest is here, and which of its blobs are.
    func outlineWithBlobs(
        _ id: ManifestID
    ) throws -> (outline: ModelOutline, blobs: [Int]) {
        let outline = try cutter(id).outline
        let present = outline.blobs.indices.filter { store.contains(.blob(outline.blobs[$0].id)) }
        return (outline, present)
    }

    /// Forgets a model and throws away the blobs that no other model here needs.
    func discard(_ id: ManifestID) throws(BlobStoreError) {
        let gone = cutters.withLock { $0.removeValue(forKey: id) }
        try store.remove(.manifest(id))
        let kept = Set(restore().flatMap { $0.outline.blobs.map(\.id) })
        for blob in gone?.outline.blobs ?? [] where !kept.contains(blob.id) {
            try store.remove(.blob(blob.id))
        }
    }

    /// A fragment as the engine takes it: its own XML, and weights read and checked from the disk.
    ///
    /// `admit` sees the XML and how many bytes of weights there are before any is read, and may refuse.
    func source(
        of key: FragmentKey, admit: (_ xml: [UInt8], _ weightByteCount: Int) throws -> Void
    ) throws -> FragmentSource {
        let cutter = try cutter(key.manifest)
        let fragment = try cutter.fragment(operators: key.operators, rows: key.rows)
        try admit(fragment.xml, fragment.weightByteCount)
        let weights = try WeightBuffer(byteCount: fragment.weightByteCount) { buffer in
            try store.loadWeights(fragment, blobs: cutter.outline.blobs, into: buffer)
        }
        return FragmentSource(xml: fragment.xml, weights: weights)
    }

    private func cutter(_ id: ManifestID) throws -> ModelCutter {
        if let known = cutters.withLock({ $0[id] }) { return known }
        let made = try ModelCutter(store.manifest(id))
        cutters.withLock { $0[id] = made }
        return made
    }
}
