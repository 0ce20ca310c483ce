public import NIOCore

/// How the API is served.
public struct APIConfiguration: Sendable {
    /// Where it listens: a host name or address.
    public var host: String
    /// The port; 0 takes a free one.
    public var port: Int
    /// The port of the same host where it serves gRPC, 0 for a free one; nil serves none.
    public var grpcPort: Int?
    /// Host names and addresses beside the loopback ones under which clients may reach it: what
    /// else stands in a `Host` header is refused, so that no web page can reach the agent by a name
    /// of its own (DNS rebinding).
    public var hostNames: [String]
    /// The tokens that callers may present.
    public var tokens: APITokens
    /// What callers may do without a token; nil if nothing.
    public var anonymousRight: APIRight?
    /// What it proves itself with over TLS; without one the ports are plain.
    public var certificate: APICertificate?
    /// The longest body of an inference request, after it was inflated.
    ///
    /// 256 MiB hold a batch of 400 images of 224 × 224 at 32 bits.
    public var inferenceBytesMax = 256 << 20
    /// The longest JSON text of an inference request: JSON takes several times its size to read.
    public var jsonBytesMax = 64 << 20
    /// The longest manifest.
    public var manifestBytesMax = 32 << 20
    /// The longest blob.
    public var blobBytesMax = 64 << 30
    /// All bodies of inference requests that are held at once, together.
    ///
    /// Beyond it requests are refused with 429.
    public var heldBytesMax = 1 << 30
    /// Connections that may be open at once, over HTTP and gRPC; further ones are closed.
    public var connectionsMax = 1_024
    /// Of these, connections from one address beyond this machine; from one network of 64 bits over
    /// IPv6.
    public var connectionsPerAddressMax = 256
    /// How long the head of a request may take, from the first byte or the connection's begin on.
    public var headTimeout = TimeAmount.seconds(20)
    /// In each of these a body brings at least `bodyBytesPerWindowMin`, as long as it is waited for.
    public var bodyWindow = TimeAmount.seconds(20)
    /// A kilobyte per second is slower than any link that tensors go over.
    public var bodyBytesPerWindowMin = 20 << 10
    /// Streams of the mesh's state that may be open at once, which is one per open dashboard.
    public var streamsMax = 32
    /// How long it is from one message of a stream to the next.
    public var streamPeriod = Duration.seconds(1)
    /// How long the reader of a stream may let a message wait before it is cut off.
    public var streamStallMax = Duration.seconds(10)
    /// How long a connection may be idle, or silent within a request.
    public var idleTimeout = TimeAmount.minutes(5)

    /// Makes a configuration with the usual limits.
    public init(
        host: String, port: Int, grpcPort: Int? = nil, hostNames: [String] = [],
        tokens: APITokens, anonymousRight: APIRight?
    ) {
        self.host = host
        self.port = port
        self.grpcPort = grpcPort
        self.hostNames = hostNames
        self.tokens = tokens
        self.anonymousRight = anonymousRight
    }
}
