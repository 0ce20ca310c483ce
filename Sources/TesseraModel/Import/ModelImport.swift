public import TesseraCore

/// A model as it was imported: its manifest, and its blobs as ranges of the mapped weights file.
///
/// The weights are read through the mapping, a constant at a time, so a model may be larger than
/// the memory.
public struct ModelImport: Sendable {
    /// The model's document.
    public let manifest: Manifest
    /// The file with the weights.
    private let weights: MappedFile
    /// Where each blob of the manifest lies in it.
    private let ranges: [Range<Int>]

    /// Reads what `ov::serialize` wrote: the graph and, beside it, the weights.
    public static func make(xmlPath: String, binPath: String) throws(ModelError) -> ModelImport {
        let xml = try MappedFile(path: xmlPath)
        try ModelLimits.check(xml.byteCount, ModelLimits.xmlBytesMax, "bytes of XML")
        let text = xml.withBytes(0..<xml.byteCount) { Array($0) }
        return try make(xml: text, weights: MappedFile(path: binPath))
    }

    /// Makes the manifest of a graph over mapped weights.
    public static func make(
        xml: [UInt8], weights: MappedFile
    ) throws(ModelError) -> ModelImport {
        var graph = try IRReader.read(xml: xml, weightByteCount: weights.byteCount)
        var blobs: [ModelOutline.Blob] = []
        var ranges: [Range<Int>] = []
        var indexOfBlob: [BlobID: Int] = [:]
        var indexOfRange: [Range<Int>: Int] = [:]
        for index in graph.layers.indices {
            guard case .range(let offset, let byteCount) = graph.layers[index].constant else {
                continue
            }
            let range = offset..<(offset + byteCount)
            if byteCount <= ModelLimits.inlineBytesMax {
                let bytes = weights.withBytes(range) { Array($0) }
                graph.layers[index].constant = .inline(bytes)
                continue
            }
            if let known = indexOfRange[range] {
                graph.layers[index].constant = .blob(known)
                continue
            }
            let id: BlobID = weights.withBytes(range) { Digest.identity(of: $0) }
            let blob = indexOfBlob[id] ?? blobs.count
            if blob == blobs.count {
                blobs.append(.init(id: id, byteCount: byteCount))
                ranges.append(range)
                indexOfBlob[id] = blob
            }
            indexOfRange[range] = blob
            graph.layers[index].constant = .blob(blob)
        }
        return ModelImport(
            manifest: try Manifest(graph: graph, blobs: blobs), weights: weights, ranges: ranges)
    }

    /// The same model, with how an image becomes its input.
    public func describing(_ image: ImageInput) throws(ModelError) -> ModelImport {
        ModelImport(
            manifest: try Manifest(graph: manifest.graph, blobs: manifest.blobs, image: image),
            weights: weights, ranges: ranges)
    }

    /// Gives `body` the bytes of a blob of the manifest.
    public func withBlob<Result, Failure: Error>(
        at index: Int, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try weights.withBytes(ranges[index], body)
    }

    /// Stores all blobs and then the manifest; what the store has already is left as it is.
    ///
    /// Blocks for as long as the disk takes. `progress` is told the bytes done after each blob.
    public func store(
        in store: BlobStore, progress: (_ byteCountDone: Int) -> Void = { _ in }
    ) throws(BlobStoreError) {
        var done = 0
        for (index, blob) in manifest.blobs.enumerated() {
            if !store.contains(.blob(blob.id)) {
                try withBlob(at: index) { bytes throws(BlobStoreError) in
                    try store.store(.blob(blob.id), bytes)
                }
            }
            done += blob.byteCount
            progress(done)
        }
        try store.storeManifest(manifest)
    }
}
