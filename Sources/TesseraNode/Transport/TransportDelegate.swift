public import NIOCore
public import TesseraCore

/// Hears what the transport has to say; called on the control loop only.
public protocol TransportDelegate: AnyObject, Sendable {
    /// The control connection to a peer's run is up; `address` is where the peer listens.
    func connected(_ member: NodeBoot, address: Address)
    /// The connections to a peer's run are gone; said once for each `connected`.
    func disconnected(_ member: NodeBoot, reason: String)
    /// A slice of a traced request arrived whole, so long after its first bytes; `sliceArrived`
    /// follows.
    func sliceTook(_ header: SliceHeader, nanoseconds: Int64, from member: NodeBoot)
    /// A dial that `connect` asked for failed.
    func unreachable(_ address: Address, reason: String)
    /// A dial that `connect` asked for led to a peer that is connected already, by another address.
    func alreadyConnected(_ member: NodeBoot, dialled address: Address)
    /// Somebody who connected was turned away.
    func refused(host: String, reason: String)
    /// A message over the control connection or as a datagram.
    func received(_ message: Message, from member: NodeBoot)
    /// A slice is complete; the buffer is the delegate's.
    func sliceArrived(_ header: SliceHeader, _ bytes: ByteBuffer, from member: NodeBoot)
    /// A slice was thrown away because too many bytes were arriving at once.
    func sliceRefused(_ header: SliceHeader, from member: NodeBoot)
    /// A slice arrived whole, and its bytes are none that its codec makes.
    func sliceCorrupt(_ header: SliceHeader, from member: NodeBoot, reason: String)
    /// A peer's run knows codecs.
    func peerUnpacks(_ member: NodeBoot)
    /// A slice that might have been packed was handed to the kernel, or given up.
    func sliceSent(_ slice: SentSlice)
    /// A slice cannot be queued for sending; the peer is connected, its queue is full.
    func sliceDropped(_ header: SliceHeader, to member: NodeBoot)
    /// A fetch is complete: the sink has taken and accepted every byte.
    func fetched(_ blob: BlobID, isManifest: Bool, from member: NodeBoot)
    /// A fetch failed; what the sink took stays with the sink.
    func fetchFailed(_ blob: BlobID, isManifest: Bool, from member: NodeBoot, reason: String)
    /// The link to a peer was measured anew.
    func linkMeasured(_ measurement: LinkMeasurement, of member: NodeBoot)
}

/// A piece of a blob, and the size of the whole.
public struct BlobPiece: Sendable {
    /// The bytes: as many as asked for, or those up to the end.
    public var bytes: ByteBuffer
    /// The bytes of the whole blob.
    public var totalByteCount: Int

    /// Makes a piece.
    public init(bytes: ByteBuffer, totalByteCount: Int) {
        self.bytes = bytes
        self.totalByteCount = totalByteCount
    }
}

/// Why a blob cannot be read for a peer.
public enum BlobSourceError: Error, Hashable, Sendable {
    /// It is not here (any more).
    case missing
    /// The disk failed.
    case unreadable
}

/// Where the transport reads the blobs that peers ask for; called on threads of its own.
public protocol BlobSource: Sendable {
    /// Reads up to `length` bytes from `offset`; gives no bytes at or beyond the end.
    ///
    /// Throws `BlobSourceError.missing` if the blob is not here; every other error says that the
    /// disk failed.
    func read(
        _ blob: BlobID, isManifest: Bool, offset: Int, length: Int
    ) throws -> BlobPiece
}

/// Where a fetched blob goes; called on threads of the transport, in order, never concurrently.
public protocol BlobSink: Sendable {
    /// Takes the next bytes; `offset` continues where the last call (or the resumed part) ended.
    func write(_ bytes: ByteBuffer, at offset: Int, totalByteCount: Int) throws
    /// Every byte is there: check them; throws if they are not what the blob's name says.
    func finish(totalByteCount: Int) throws
}

extension TransportDelegate {
    /// Not everybody records traces.
    public func sliceTook(_ header: SliceHeader, nanoseconds: Int64, from member: NodeBoot) {}
    /// Not everybody packs.
    public func sliceCorrupt(_ header: SliceHeader, from member: NodeBoot, reason: String) {}
    /// Not everybody packs.
    public func peerUnpacks(_ member: NodeBoot) {}
    /// Not everybody packs.
    public func sliceSent(_ slice: SentSlice) {}
}

/// What a transport did since its start, for metrics and benchmarks.
public struct TransportCounters: Hashable, Sendable {
    /// Slices sent whole.
    public var slicesSent = 0
    /// Tensor bytes handed to TLS (or to the kernel, without encryption).
    public var sliceBytesSent = 0
    /// Tensor bytes that the sending side copied on their way; the aim is none.
    public var sliceBytesCopiedSending = 0
    /// Slices that arrived whole.
    public var slicesReceived = 0
    /// Tensor bytes that arrived.
    public var sliceBytesReceived = 0
    /// Tensor bytes that the receiving side copied; the aim is each once.
    public var sliceBytesCopiedReceiving = 0
    /// Slices thrown away because too much was arriving.
    public var slicesRefused = 0
    /// Slices that could not be queued.
    public var slicesDropped = 0
    /// Slices whose bytes were none that their codec makes.
    public var slicesCorrupt = 0
    /// What codecs made of slices that were sent.
    public var packed = CodecTallies()
    /// What was made of packed slices that arrived.
    public var unpacked = CodecTallies()
    /// Blob bytes sent.
    public var blobBytesSent = 0
    /// Blob bytes that arrived.
    public var blobBytesReceived = 0
    /// Datagrams that arrived and were delivered.
    public var datagramsReceived = 0
    /// Datagrams that were sent.
    public var datagramsSent = 0
    /// Datagrams thrown away: not of the mesh, replayed, or of a run without a handshake.
    public var datagramsDropped = 0
    /// Messages whose peer was not connected (any more).
    public var messagesDropped = 0
    /// Connections closed before their hello: garbage, wrong secrets, silence.
    public var handshakesFailed = 0
    /// Runs that got no session because there are as many as there may be.
    public var peersRefused = 0
    /// Connections of known peers that were closed because they broke the protocol.
    public var connectionsBroken = 0
    /// Connections closed at once because too many were half open.
    public var halfOpenRefused = 0
}

/// What codecs did since a transport started, codec by codec.
public struct CodecTallies: Hashable, Sendable {
    /// What one codec did.
    public struct Tally: Hashable, Sendable {
        /// Slices.
        public var slices = 0
        /// Their bytes as the engine wrote them.
        public var plainBytes = 0
        /// Their bytes on the link.
        public var packedBytes = 0
        /// Time that it took.
        public var nanoseconds: Int64 = 0
    }

    private var tallies = [Tally](repeating: Tally(), count: Codec.allCases.count)

    /// Nothing yet.
    public init() {}

    /// What a codec did.
    public subscript(_ codec: Codec) -> Tally { tallies[Int(codec.rawValue)] }

    mutating func add(_ codec: Codec, plain: Int, packed: Int, nanoseconds: Int64) {
        let place = Int(codec.rawValue)
        tallies[place].slices += 1
        tallies[place].plainBytes += plain
        tallies[place].packedBytes += packed
        tallies[place].nanoseconds += nanoseconds
    }
}

/// The bytes of all connections to one node since this one started, before encryption.
public struct PeerTraffic: Hashable, Sendable {
    /// The peer.
    public var node: NodeID
    /// Bytes handed to its connections.
    public var sentBytes = 0
    /// Bytes that came from them.
    public var receivedBytes = 0
}
