import Crypto
import Logging
public import NIOCore
public import NIOPosix
import Synchronization
public import TesseraCore
import TesseraWire

/// The connections of this node to its peers: one listening TCP port and one UDP socket on the same
/// number; per peer a control connection on the control loop and a data connection on a data loop.
///
/// Every method must be called on the control loop, where the core runs too, unless it says
/// otherwise. The delegate is never called from within a method: always later, in order.
///
/// Sendable by confinement: what changes after `init` is used on the control loop only, which the
/// public methods check.
public final class PeerTransport: @unchecked Sendable {
    /// The loop that everything but data runs on.
    public let controlLoop: any EventLoop
    /// Where this node listens, with the port that was taken.
    public let address: Address
    /// This node and its run.
    public let member: NodeBoot

    let configuration: TransportConfiguration
    private let trust: Mutex<TransportTrust>
    let counters = SharedCounters()
    let budget: IncomingBudget
    let limiter = HalfOpenLimiter()
    let blobs: any BlobSource
    /// Threads that read blobs for peers.
    let readers = NIOThreadPool(numberOfThreads: 2)
    /// The thread that writes fetched blobs: one, so that each sink is called in order.
    let writers = NIOThreadPool(numberOfThreads: 1)
    /// The thread that packs and unpacks slices: one, beside the engine's.
    let packers = NIOThreadPool(numberOfThreads: 1)
    let logger: Logger

    private let dataLoops: any EventLoopGroup
    private let sockets: ListeningSockets

    weak var delegate: (any TransportDelegate)?
    var sessions: [NodeID: PeerSession] = [:]
    var dials: Set<Address> = []
    var opening: [ControlConnection] = []
    var knownBoots = KnownBoots()
    var sealer: DatagramSealer
    var opener: DatagramOpener
    var datagrams: (any Channel)?
    var fetchCount = 0
    /// Slices of each attempt that are being packed; only looked up.
    var packing: [AttemptID: Int] = [:]
    var lastTick = NIODeadline.now()
    var lastProbe = NIODeadline.now()
    /// The trial of a link that is under way, and when the next one may begin.
    var trial: (member: NodeBoot, began: NIODeadline)?
    var nextTrial = NIODeadline.uptimeNanoseconds(0)
    /// What was said of peers that do not belong here, and when.
    var saidMisfits: [String: NIODeadline] = [:]

    private var doorkeeper: Doorkeeper?
    private var ticker: RepeatedTask?
    private var openChannels: [ObjectIdentifier: any Channel] = [:]
    private var isAccepting = true
    private var isEnding = false
    private var closed: EventLoopPromise<Void>?

    /// Takes the port and makes the certificates; nothing is accepted before `start`.
    ///
    /// May be called from everywhere. `controlLoop` must be one of a `MultiThreadedEventLoopGroup`
    /// and should serve nothing else but the core; `dataLoops` must be another group.
    public init(
        _ configuration: TransportConfiguration, controlLoop: any EventLoop,
        dataLoops: MultiThreadedEventLoopGroup, blobs: any BlobSource
    ) throws(TransportError) {
        self.configuration = configuration
        self.controlLoop = controlLoop
        self.dataLoops = dataLoops
        self.blobs = blobs
        member = configuration.identity.member
        logger = configuration.logger
        budget = IncomingBudget(bytes: configuration.incomingSliceBytesMax)
        let keyring = configuration.keyring
        sealer = DatagramSealer(
            purpose: .membership, key: keyring.used.gossip, generation: keyring.used.generation,
            sender: member)
        opener = DatagramOpener(
            purpose: .membership, keys: keyring.gossipKeys, generation: keyring.used.generation,
            receiver: member)
        trust = Mutex(try TransportTrust(keyring, identity: configuration.identity))
        sockets = try ListeningSockets(listen: configuration.listen)
        address = sockets.address
    }

    // MARK: Life

    /// Begins to accept and to receive; from everywhere, once.
    public func start(delegate: any TransportDelegate) -> EventLoopFuture<Void> {
        readers.start()
        writers.start()
        packers.start()
        return controlLoop.flatSubmit {
            self.delegate = delegate
            self.lastTick = .now()
            self.ticker = self.controlLoop.scheduleRepeatedTask(
                initialDelay: TransportLimits.tickInterval, delay: TransportLimits.tickInterval
            ) { _ in self.tick() }
            return self.openDatagrams(self.sockets).flatMapThrowing {
                self.doorkeeper = try Doorkeeper(
                    listening: self.sockets.stream, limiter: self.limiter,
                    counters: self.counters
                ) { visitor in self.accept(visitor) }
            }
        }
    }

    /// Says goodbye to all peers and gives everything back; from everywhere.
    ///
    /// What was sent on control connections goes out first, for at most a second.
    public func close() -> EventLoopFuture<Void> {
        controlLoop.flatSubmit {
            if let closed = self.closed { return closed.futureResult }
            let closed = self.controlLoop.makePromise(of: Void.self)
            self.closed = closed
            self.ticker?.cancel()
            self.stopAccepting().whenComplete { _ in
                for session in self.sessions.values.sorted(by: { $0.member < $1.member }) {
                    self.end(session, reason: "this node is leaving", goodbye: .init(.leaving))
                }
                self.opening.forEach { $0.close("this node is leaving") }
                self.isAccepting = false
                self.channelClosed()
                // Handshakes that are under way do not hold up the end.
                self.controlLoop.scheduleTask(in: TransportLimits.goodbyeTimeout) {
                    self.openChannels.values.forEach { $0.close(promise: nil) }
                }
            }
            return closed.futureResult
        }
    }

    /// Whether the end has begun.
    var isClosing: Bool { closed != nil }

    private func stopAccepting() -> EventLoopFuture<Void> {
        guard let doorkeeper else {
            closeDescriptor(sockets.stream)
            closeDescriptor(sockets.datagram)
            return controlLoop.makeSucceededVoidFuture()
        }
        let stopped = controlLoop.makePromise(of: Void.self)
        doorkeeper.stop { stopped.succeed() }
        return stopped.futureResult
    }

    /// Counts a channel until it is closed.
    func track(_ channel: any Channel) {
        controlLoop.execute {
            self.openChannels[ObjectIdentifier(channel)] = channel
            channel.closeFuture.hop(to: self.controlLoop).whenComplete { _ in
                self.openChannels[ObjectIdentifier(channel)] = nil
                self.channelClosed()
            }
        }
    }

    /// When no connection is left of a closing transport, the rest goes: the datagrams, then the
    /// threads, whose last results still find their loops.
    private func channelClosed() {
        guard let closed, !isAccepting, openChannels.isEmpty, !isEnding else { return }
        isEnding = true
        let datagramsClosed = datagrams?.closeFuture ?? controlLoop.makeSucceededVoidFuture()
        datagrams?.close(mode: .all, promise: nil)
        datagrams = nil
        datagramsClosed.hop(to: controlLoop).whenComplete { _ in
            self.readers.shutdownGracefully { _ in
                self.writers.shutdownGracefully { _ in
                    self.packers.shutdownGracefully { _ in
                        // Behind what the threads handed to the loops.
                        self.dataLoops.next().execute {
                            self.controlLoop.execute { closed.succeed() }
                        }
                    }
                }
            }
        }
    }

    // MARK: What is known everywhere

    /// What this transport did since its start; from everywhere.
    public var countersSnapshot: TransportCounters { counters.snapshot }

    /// The bytes of the connections to each node, ascending by node; from everywhere.
    public var peerTraffic: [PeerTraffic] { counters.peerTraffic }

    /// Connections that have not said who they are; from everywhere.
    public var halfOpenCount: Int { limiter.count }

    /// The next data loop; from everywhere.
    var nextDataLoop: any EventLoop { dataLoops.next() }

    /// The TLS contexts of new connections; from everywhere.
    var contexts: TLSContexts { trust.withLock { $0.contexts } }

    /// Tells the accepted secrets apart; from everywhere.
    var acceptedTags: [String] { trust.withLock { $0.keyring.tags } }

    /// The key of this node's proofs on data connections without encryption; from everywhere.
    var plainKey: SymmetricKey { trust.withLock { $0.keyring.used.plainData } }

    /// The keys of proofs that are accepted there; from everywhere.
    var plainKeys: [SymmetricKey] { trust.withLock { $0.keyring.accepted.map(\.plainData) } }

    /// Takes other secrets; see `use`.
    func replace(trust new: TransportTrust) { trust.withLock { $0 = new } }

    /// The versions of the protocol that this node speaks; from everywhere.
    var versions: WireVersions { configuration.versions }

    /// What this node says of itself on a connection; from everywhere.
    func greeting(for purpose: ConnectionPurpose) -> Greeting {
        Greeting(
            versions: versions, meshTag: trust.withLock { $0.keyring.used.tag }, member: member,
            listenPort: address.port, purpose: purpose, name: configuration.name,
            release: versions.maximum >= 3 ? configuration.release : nil)
    }

    /// Calls the delegate later, in order; from everywhere.
    func tell(_ body: @escaping @Sendable (any TransportDelegate) -> Void) {
        controlLoop.execute {
            if let delegate = self.delegate { body(delegate) }
        }
    }

    // MARK: Messages

    /// Sends a message over the control connection; drops it if the run is not connected.
    public func send(_ message: Message, to member: NodeBoot) {
        controlLoop.preconditionInEventLoop()
        guard let connection = session(member)?.active(own: self.member.node) else {
            return counters.change { $0.messagesDropped += 1 }
        }
        connection.send(.message(message))
    }

    /// Closes the connections to a run; `disconnected` is said for it.
    public func disconnect(_ member: NodeBoot) {
        controlLoop.preconditionInEventLoop()
        guard let session = session(member) else { return }
        end(session, reason: "closed by this node", goodbye: Goodbye(.other))
    }

    /// The runs that are connected.
    public var connectedMembers: [NodeBoot] {
        controlLoop.preconditionInEventLoop()
        return sessions.values.map(\.member).sorted()
    }

    /// The session with a run.
    func session(_ member: NodeBoot) -> PeerSession? {
        guard let session = sessions[member.node], session.member == member else { return nil }
        return session
    }

    /// A message that breaks a limit of the protocol cannot be sent to anybody.
    func cannotEncode(_ frame: Frame, error: WireError) {
        counters.change { $0.messagesDropped += 1 }
        logger.error("message not sent", metadata: ["reason": "\(error)"])
    }

    // MARK: Slices

    func sliceArrived(_ header: SliceHeader, _ bytes: ByteBuffer, from member: NodeBoot) {
        // Of a run that is gone already nothing is heard any more.
        guard session(member) != nil else { return }
        delegate?.sliceArrived(header, bytes, from: member)
    }

    // MARK: Blobs

    /// Fetches a blob from a peer, beginning at `offset`, into the sink; ends in `fetched` or
    /// `fetchFailed`.
    public func fetch(
        _ blob: BlobID, isManifest: Bool, from member: NodeBoot, resumingAt offset: Int = 0,
        into sink: any BlobSink
    ) {
        controlLoop.preconditionInEventLoop()
        let session = session(member)
        guard let session, fetchCount < TransportLimits.fetchesMax else {
            let reason = session == nil ? "the peer is not connected" : "too many fetches at once"
            return tell {
                $0.fetchFailed(blob, isManifest: isManifest, from: member, reason: reason)
            }
        }
        fetchCount += 1
        let fetch = BlobFetch(
            blob: blob, isManifest: isManifest, offset: offset, sink: sink, writers: writers
        ) { failure in
            self.controlLoop.execute {
                self.fetchCount -= 1
                if let failure {
                    self.delegate?.fetchFailed(
                        blob, isManifest: isManifest, from: member, reason: failure)
                } else {
                    self.delegate?.fetched(blob, isManifest: isManifest, from: member)
                }
            }
        }
        if let data = session.data.first {
            data.fetch([fetch])
        } else {
            session.waitingFetches.append(fetch)
        }
    }
}
