/// How a tensor is packed on its way from one node to another.
public struct PackingDocument: Codable, Sendable, Equatable {
    /// The tensor's name.
    public var tensor: String
    /// The name of the node that sends it.
    public var from: String
    /// The name of the node that gets it.
    public var to: String
    /// Bytes of one slice as they are.
    public var bytes: Int
    /// The codec that is expected by what was measured: `none`, `lossless`, `f16`, `bf16` or `int8`.
    public var codec: String
    /// Bytes that it is expected to leave.
    public var packedBytes: Int
    /// The codec in use; nil if the agent that was asked does not send this tensor.
    public var codecInUse: String?
    /// Bytes that codecs left of a slice so far, in the mean; nil if none was packed here.
    public var measuredBytes: Int?

    /// Makes a line.
    public init(
        tensor: String, from: String, to: String, bytes: Int, codec: String, packedBytes: Int,
        codecInUse: String?, measuredBytes: Int?
    ) {
        self.tensor = tensor
        self.from = from
        self.to = to
        self.bytes = bytes
        self.codec = codec
        self.packedBytes = packedBytes
        self.codecInUse = codecInUse
        self.measuredBytes = measuredBytes
    }
}
