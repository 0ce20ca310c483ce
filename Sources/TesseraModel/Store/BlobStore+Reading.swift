public import TesseraCore

extension BlobStore {
    /// Reads bytes of a complete item, as a peer asks for them, without checking the hash (the
    /// peer does); gives how many, fewer than the buffer only at the end.
    public func read(
        _ item: StoreItem, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobStoreError) -> Int {
        guard contains(item) else { throw .missing(item) }
        do throws(FileError) {
            let file = try OpenFile(path: path(of: item), .read)
            return try file.read(into: buffer, at: max(0, offset))
        } catch {
            throw lost(item, error)
        }
    }

    /// Reads a whole item into a buffer of exactly its size and checks its hash.
    ///
    /// A damaged file is moved away, so that the item is not here any more and can be fetched
    /// again, and reported as `corrupt`.
    public func load(
        _ item: StoreItem, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobStoreError) {
        guard contains(item) else { throw .missing(item) }
        let isRight: Bool
        do throws(FileError) {
            let file = try OpenFile(path: path(of: item), .read)
            let byteCount = try file.byteCount()
            let isWhole = try file.read(into: buffer, at: 0) == buffer.count
            isRight = isWhole && byteCount == buffer.count
        } catch {
            throw lost(item, error)
        }
        let identity: BlobID = Digest.identity(of: UnsafeRawBufferPointer(buffer))
        guard isRight, StoreItem.blob(identity).words == item.words else {
            try quarantine(item)
            throw .corrupt(item)
        }
    }

    /// Reads and checks a manifest.
    public func manifest(_ id: ManifestID) throws(BlobStoreError) -> Manifest {
        let item = StoreItem.manifest(id)
        guard let byteCount = byteCount(of: item) else { throw .missing(item) }
        guard byteCount <= ModelLimits.manifestBytesMax else {
            throw .invalidManifest(
                .limit(
                    what: "bytes of manifest", value: byteCount,
                    maximum: ModelLimits.manifestBytesMax))
        }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        try bytes.withUnsafeMutableBufferPointer { buffer throws(BlobStoreError) in
            try load(item, into: UnsafeMutableRawBufferPointer(buffer))
        }
        do {
            return try Manifest(encoded: bytes)
        } catch {
            throw .invalidManifest(error)
        }
    }

    /// Reads a whole item window by window and checks its hash, as `load` does.
    public func verify(_ item: StoreItem) throws(BlobStoreError) {
        guard contains(item) else { throw .missing(item) }
        let isRight: Bool
        do throws(FileError) {
            let file = try OpenFile(path: path(of: item), .read)
            isRight = try Self.hash(of: file) == item.words
        } catch {
            throw lost(item, error)
        }
        guard isRight else {
            try quarantine(item)
            throw .corrupt(item)
        }
    }
}
