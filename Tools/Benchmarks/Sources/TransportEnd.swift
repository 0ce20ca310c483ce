import Dispatch
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TesseraCore
import TesseraNode

/// A transport that answers every tensor with one byte, and sends the next when such a byte comes.
///
/// Sendable by confinement: what changes is used on the control loop only.
final class TransportEnd: TransportDelegate, @unchecked Sendable {
    private struct Run {
        var peer: NodeBoot
        var tensor: ByteBuffer
        var size: Int
        var left: Int
        var unanswered: Int
        let done: DispatchSemaphore
    }

    private let transport: PeerTransport
    private let control = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    // As an agent has them.
    private let data = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private let connection = DispatchSemaphore(value: 0)
    private let failure = Mutex<String?>(nil)
    // Touched on the control loop only.
    private var peer: NodeBoot?
    private var run: Run?
    private var nextRequest: UInt64 = 1

    private static let incomingBytesMax = 1 << 30

    init(keys: MeshKeys, isEncrypted: Bool) throws {
        var logger = Logger(label: "transport")
        logger.logLevel = .error
        transport = try PeerTransport(
            TransportConfiguration(
                listen: Address(host: "127.0.0.1", port: 0),
                identity: NodeIdentity(ephemeralBoot: Boot(counter: 1, random: 1)),
                name: "benchmark", keyring: MeshKeyring(keys),
                incomingSliceBytesMax: Self.incomingBytesMax,
                dataEncryption: isEncrypted, logger: logger),
            controlLoop: control.next(), dataLoops: data, blobs: NoBlobs())
    }

    func start() throws { try transport.start(delegate: self).wait() }

    var address: String { "\(transport.address.host):\(transport.address.port)" }

    var counters: TransportCounters { transport.countersSnapshot }

    /// Sends tensors; gives the time from the first byte to the last answer.
    func send(to address: Address, size: Int, count: Int, window: Int) throws -> UInt64 {
        try control.next().submit { self.transport.connect(address) }.wait()
        connection.wait()
        let done = DispatchSemaphore(value: 0)
        let tensor = ByteBuffer(repeating: 1, count: size)
        // One to warm up: the data connection is made by the first tensor.
        try start(tensor, count: 1, window: 1, done)
        let begin = Stopwatch.nanoseconds
        try start(tensor, count: count, window: window, done)
        return Stopwatch.nanoseconds - begin
    }

    private func start(
        _ tensor: ByteBuffer, count: Int, window: Int, _ done: DispatchSemaphore
    ) throws {
        try control.next().submit {
            guard let peer = self.peer else { return self.fail("no peer") }
            self.run = Run(
                peer: peer, tensor: tensor, size: tensor.readableBytes, left: count,
                unanswered: count, done: done)
            for _ in 0..<min(window, count) { self.sendNext() }
        }.wait()
        if failure.withLock({ $0 }) == nil { done.wait() }
        if let reason = failure.withLock({ $0 }) { throw BenchmarkError(reason) }
    }

    private func sendNext() {
        guard let run, run.left > 0 else { return }
        self.run?.left -= 1
        transport.sendSlice(header(run.size), run.tensor, to: run.peer)
    }

    private func header(_ size: Int) -> SliceHeader {
        let request = RequestID(entry: transport.member, counter: nextRequest)
        nextRequest += 1
        return SliceHeader(
            attempt: AttemptID(request: request, number: 1, plan: PlanID(1, 2, 3, 4)), route: 0,
            type: .uint8, shape: [size], remaining: .seconds(30))
    }

    private func fail(_ reason: String) {
        failure.withLock { $0 = $0 ?? reason }
        run?.done.signal()
        connection.signal()
    }

    // MARK: What the transport says

    func connected(_ member: NodeBoot, address: Address) {
        peer = member
        connection.signal()
    }

    func sliceArrived(_ header: SliceHeader, _ bytes: ByteBuffer, from member: NodeBoot) {
        guard run != nil else {
            return transport.sendSlice(self.header(1), ByteBuffer(bytes: [1]), to: member)
        }
        run?.unanswered -= 1
        sendNext()
        if run?.unanswered == 0 { run?.done.signal() }
    }

    func unreachable(_ address: Address, reason: String) { fail("\(address): \(reason)") }
    func refused(host: String, reason: String) { fail("\(host) refused: \(reason)") }
    func sliceRefused(_ header: SliceHeader, from member: NodeBoot) { fail("a tensor refused") }
    func sliceDropped(_ header: SliceHeader, to member: NodeBoot) { fail("a tensor dropped") }
    func disconnected(_ member: NodeBoot, reason: String) {}
    func alreadyConnected(_ member: NodeBoot, dialled address: Address) {}
    func received(_ message: Message, from member: NodeBoot) {}
    func fetched(_ blob: BlobID, isManifest: Bool, from member: NodeBoot) {}
    func fetchFailed(
        _ blob: BlobID, isManifest: Bool, from member: NodeBoot, reason: String
    ) {}
    func linkMeasured(_ measurement: LinkMeasurement, of member: NodeBoot) {}
}

/// A benchmark has no blobs.
struct NoBlobs: BlobSource {
    func read(
        _ blob: BlobID, isManifest: Bool, offset: Int, length: Int
    ) throws -> BlobPiece { throw BlobSourceError.missing }
}
