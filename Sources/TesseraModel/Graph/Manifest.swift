public import TesseraCore

/// The canonical document that names a model: its graph and the blobs that hold its constants.
///
/// `encoded` is the one encoding of a manifest, and `ManifestID` is its SHA-256, so equal names are
/// equal models. The encoding's version also stands for the rules that group and order operators
/// (`ModelCutter`): the same manifest gives the same outline on every node, and a build with other
/// rules writes and reads another version.
public struct Manifest: Hashable, Sendable {
    /// The graph; its constants refer to `blobs` or are inline.
    public let graph: ModelGraph
    /// The constants of more than `ModelLimits.inlineBytesMax` bytes, without doubles, in the order
    /// in which the layers use them first.
    public let blobs: [ModelOutline.Blob]
    /// How an image becomes the model's input; nil if nobody said.
    public let image: ImageInput?
    /// The canonical encoding.
    public let encoded: [UInt8]
    /// The SHA-256 of `encoded`.
    public let id: ManifestID

    /// Makes a manifest of a graph and its blobs, checked like one that comes from a peer.
    public init(
        graph: ModelGraph, blobs: [ModelOutline.Blob], image: ImageInput? = nil
    ) throws(ModelError) {
        let encoded = ManifestEncoding.encode(graph, blobs, image)
        try self.init(encoded: encoded)
    }

    /// Reads a manifest; throws unless the bytes are exactly what `encoded` would be.
    public init(encoded: [UInt8]) throws(ModelError) {
        try ModelLimits.check(encoded.count, ModelLimits.manifestBytesMax, "bytes of manifest")
        (graph, blobs, image) = try ManifestEncoding.decode(encoded)
        self.encoded = encoded
        id = Digest.identity(of: encoded)
    }

    /// The bytes of all blobs together.
    public var blobByteCount: Int { blobs.reduce(0) { $0 + $1.byteCount } }
}
