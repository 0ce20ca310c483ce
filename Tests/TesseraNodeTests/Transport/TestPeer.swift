import Foundation
import Logging
import NIOCore
import NIOPosix
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

/// What a transport told its delegate.
enum Happening: Equatable {
    case connected(NodeBoot, Address)
    case disconnected(NodeBoot, String)
    case unreachable(Address, String)
    case alreadyConnected(NodeBoot, Address)
    case refused(String)
    case received(Message, NodeBoot)
    case sliceArrived(SliceHeader, ByteBuffer, NodeBoot)
    case sliceRefused(SliceHeader)
    case sliceDropped(SliceHeader)
    case sliceCorrupt(SliceHeader)
    case peerUnpacks(NodeBoot)
    case sliceSent(SentSlice)
    case fetched(BlobID)
    case fetchFailed(BlobID, String)
    case linkMeasured(LinkMeasurement)
}

/// A transport with real sockets on the loopback address, and a record of what it told.
// Sendable: what changes is used under `condition`.
final class TestPeer: TransportDelegate, @unchecked Sendable {
    struct TimedOut: Error, CustomStringConvertible {
        let description: String
    }

    let transport: PeerTransport
    let control = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let data = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let condition = NSCondition()
    private var record: [Happening] = []

    convenience init(
        keys: MeshKeys, identity: NodeIdentity = .test(), host: String = "127.0.0.1",
        port: UInt16 = 0, incomingSliceBytesMax: Int = 256 << 20, dataEncryption: Bool = true,
        blobs: any BlobSource = NoBlobs()
    ) throws {
        try self.init(
            keyring: MeshKeyring(keys), identity: identity, host: host, port: port,
            incomingSliceBytesMax: incomingSliceBytesMax, dataEncryption: dataEncryption,
            blobs: blobs)
    }

    init(
        keyring: MeshKeyring, name: String = "test", versions: WireVersions = .supported,
        identity: NodeIdentity = .test(), host: String = "127.0.0.1", port: UInt16 = 0,
        incomingSliceBytesMax: Int = 256 << 20, dataEncryption: Bool = true,
        blobs: any BlobSource = NoBlobs(), secondsAhead: Int64 = 0, sessionsMax: Int? = nil
    ) throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var configuration = TransportConfiguration(
            listen: Address(host: host, port: port), identity: identity, name: name,
            keyring: keyring, incomingSliceBytesMax: incomingSliceBytesMax,
            dataEncryption: dataEncryption, logger: logger)
        configuration.versions = versions
        if let sessionsMax { configuration.sessionsMax = sessionsMax }
        configuration.release = "\(name) 1.0"
        configuration.timeOfDayMicroseconds = {
            TimeOfDay.microseconds + secondsAhead * 1_000_000
        }
        transport = try PeerTransport(
            configuration, controlLoop: control.next(), dataLoops: data, blobs: blobs)
        try transport.start(delegate: self).wait()
    }

    var member: NodeBoot { transport.member }
    var address: Address { Address(host: "127.0.0.1", port: transport.address.port) }

    /// Runs on the control loop, as the core does.
    @discardableResult
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PeerTransport) throws -> Value
    ) throws -> Value {
        let transport = transport
        return try control.next().submit { try body(transport) }.wait()
    }

    func connect(to other: TestPeer) throws {
        let address = other.address
        try run { $0.connect(address) }
    }

    /// Connects and waits until both sides say so and can send slices.
    func join(_ other: TestPeer) throws {
        try connect(to: other)
        try wait("connected to \(other.member)") { $0.connections(to: other.member) == 1 }
        try other.wait("connected to \(member)") { $0.connections(to: self.member) == 1 }
    }

    func stop() throws {
        try transport.close().wait()
        try control.syncShutdownGracefully()
        try data.syncShutdownGracefully()
    }

    // MARK: The record

    var happenings: [Happening] {
        condition.withLock { record }
    }

    /// Waits until the record is as wanted; throws after the deadline.
    func wait(
        _ what: String, seconds: Double = 20, until isThere: ([Happening]) -> Bool
    ) throws {
        let deadline = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while !isThere(record) {
            guard condition.wait(until: deadline) else {
                throw TimedOut(description: "no \(what) in \(seconds) s; got \(record.brief)")
            }
        }
    }

    private func note(_ happening: Happening) {
        condition.withLock {
            record.append(happening)
            condition.broadcast()
        }
    }

    func connected(_ member: NodeBoot, address: Address) { note(.connected(member, address)) }
    func disconnected(_ member: NodeBoot, reason: String) { note(.disconnected(member, reason)) }
    func unreachable(_ address: Address, reason: String) { note(.unreachable(address, reason)) }
    func alreadyConnected(_ member: NodeBoot, dialled address: Address) {
        note(.alreadyConnected(member, address))
    }
    func refused(host: String, reason: String) { note(.refused(reason)) }
    func received(_ message: Message, from member: NodeBoot) { note(.received(message, member)) }
    func sliceArrived(_ header: SliceHeader, _ bytes: ByteBuffer, from member: NodeBoot) {
        note(.sliceArrived(header, bytes, member))
    }
    func sliceRefused(_ header: SliceHeader, from member: NodeBoot) {
        note(.sliceRefused(header))
    }
    func sliceDropped(_ header: SliceHeader, to member: NodeBoot) { note(.sliceDropped(header)) }
    func sliceCorrupt(_ header: SliceHeader, from member: NodeBoot, reason: String) {
        note(.sliceCorrupt(header))
    }
    func peerUnpacks(_ member: NodeBoot) { note(.peerUnpacks(member)) }
    func sliceSent(_ slice: SentSlice) { note(.sliceSent(slice)) }
    func fetched(_ blob: BlobID, isManifest: Bool, from member: NodeBoot) { note(.fetched(blob)) }
    func fetchFailed(
        _ blob: BlobID, isManifest: Bool, from member: NodeBoot, reason: String
    ) { note(.fetchFailed(blob, reason)) }
    func linkMeasured(_ measurement: LinkMeasurement, of member: NodeBoot) {
        note(.linkMeasured(measurement))
    }
}

extension [Happening] {
    func connections(to member: NodeBoot) -> Int {
        count { if case .connected(member, _) = $0 { true } else { false } }
    }

    func disconnections(of member: NodeBoot) -> Int {
        count { if case .disconnected(member, _) = $0 { true } else { false } }
    }

    var messages: [Message] {
        compactMap { if case .received(let message, _) = $0 { message } else { nil } }
    }

    var slices: [(header: SliceHeader, bytes: ByteBuffer)] {
        compactMap {
            if case .sliceArrived(let header, let bytes, _) = $0 { (header, bytes) } else { nil }
        }
    }

    var sent: [SentSlice] {
        compactMap { if case .sliceSent(let slice) = $0 { slice } else { nil } }
    }

    var refusals: [String] {
        compactMap { if case .refused(let reason) = $0 { reason } else { nil } }
    }

    var measurements: [LinkMeasurement] {
        compactMap { if case .linkMeasured(let link) = $0 { link } else { nil } }
    }

    var unreachables: [String] {
        compactMap { if case .unreachable(_, let reason) = $0 { reason } else { nil } }
    }

    /// Without the bytes of slices.
    var brief: [String] {
        map { happening in
            if case .sliceArrived(let header, _, let member) = happening {
                return "sliceArrived(\(header.shape), \(member.node))"
            }
            return "\(happening)"
        }
    }
}

extension NodeIdentity {
    /// A new node in its first run.
    static func test(counter: UInt64 = 1) -> NodeIdentity {
        NodeIdentity(
            ephemeralBoot: Boot(counter: counter, random: .random(in: .min ... .max)))
    }
}

extension MeshKeys {
    /// The keys of a new mesh.
    static func test() throws -> MeshKeys {
        try MeshKeys(secret: .generate(), name: "test")
    }
}

extension SliceHeader {
    /// A slice of so many bytes.
    static func test(_ entry: NodeBoot, _ number: UInt64, byteCount: Int) -> SliceHeader {
        SliceHeader(
            attempt: AttemptID(
                request: RequestID(entry: entry, counter: number), number: 1,
                plan: PlanID(1, 2, 3, 4)), route: 0, type: .uint8, shape: [byteCount],
            remaining: .seconds(10))
    }
}

/// Bytes that repeat late and are quick to make.
func patternBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 33)
    }
}

/// A peer that has no blobs.
struct NoBlobs: BlobSource {
    func read(
        _ blob: BlobID, isManifest: Bool, offset: Int, length: Int
    ) throws -> BlobPiece { throw BlobSourceError.missing }
}

/// A message that carries a number.
func numbered(_ number: UInt64) -> Message {
    .membership(.ack(sequence: number, rumours: []))
}
