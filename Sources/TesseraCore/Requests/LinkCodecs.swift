/// A slice that was handed to its link.
public struct SentSlice: Hashable, Sendable {
    /// Who gets it.
    public var peer: NodeBoot
    /// Its plan.
    public var plan: PlanID
    /// Its route.
    public var route: Int
    /// The codec that was asked for.
    public var codec: Codec
    /// Its bytes as the engine wrote them.
    public var byteCount: Int
    /// The bytes that went over the link: as many, if the codec did not make it smaller.
    public var sentByteCount: Int
    /// How long packing took; 0 for none.
    public var packMicroseconds: Int64

    /// Makes the note.
    public init(
        peer: NodeBoot, plan: PlanID, route: Int, codec: Codec, byteCount: Int,
        sentByteCount: Int, packMicroseconds: Int64
    ) {
        self.peer = peer
        self.plan = plan
        self.route = route
        self.codec = codec
        self.byteCount = byteCount
        self.sentByteCount = sentByteCount
        self.packMicroseconds = packMicroseconds
    }
}

/// What this node does on one route of a plan.
public struct PackedRoute: Hashable, Sendable {
    /// The plan.
    public var plan: PlanID
    /// The index of the route.
    public var route: Int
    /// Who gets the tensor.
    public var peer: NodeBoot
    /// The codec in use.
    public var codec: Codec
    /// Bytes of all slices that were packed, as they were.
    public var plainBytes: Int
    /// Bytes of them that went over the link.
    public var sentBytes: Int
}

/// What this node knows of packing: speeds, who unpacks, what waits before links, and for each route
/// the codec in use and how far its tensors pack.
public struct LinkCodecs: Sendable {
    /// Smaller slices are never packed: headers and threads take more than the bytes.
    public static let bytesMin = 4_096
    /// A codec is kept for so long: a change must show its effect before the next one.
    static let holdSpan = TimeSpan.seconds(2)
    /// Between two looks at a route whose codec stays.
    static let lookSpan = TimeSpan.milliseconds(100)
    /// How far a tensor packs is tried again after so long: other inputs may pack otherwise.
    static let trialSpan = TimeSpan.seconds(60)
    /// Routes that are remembered; beyond, all are forgotten and learned anew.
    static let routesMax = 4_096
    /// Speeds before anything was measured, in bytes per microsecond: a small board's.
    static let assumedSpeed: UInt64 = 50

    /// One way of a tensor to one peer.
    struct RouteKey: Hashable {
        var plan: PlanID
        var route: Int
        var peer: NodeBoot
    }

    /// What is known of a route.
    struct RouteState: Sendable {
        var codec = Codec.none
        /// When the codec was chosen.
        var since: Timestamp?
        /// What lossless packing leaves, in thousandths.
        var losslessPerMille: Int?
        /// When that was tried last.
        var tried: Timestamp?
        /// When the choice was looked at last.
        var looked: Timestamp?
        /// Codecs that could not hold the tensor's values.
        var unfit: [Codec] = []
        /// Bytes of packed slices as they were and as they went, of all time.
        var plainBytes = 0
        var sentBytes = 0
    }

    private var speeds: [CodecSpeed] = []
    private var unpacking: Set<NodeBoot> = []
    /// Bytes on their way to a link; only looked up.
    private var queued: [NodeBoot: Int] = [:]
    /// Only looked up.
    private var routes: [RouteKey: RouteState] = [:]

    init() {}

    /// Whether a peer's run can unpack.
    func unpacks(_ peer: NodeBoot) -> Bool { unpacking.contains(peer) }

    /// Bytes that were given to the link to a peer and not taken yet.
    func queuedBytes(to peer: NodeBoot) -> Int { queued[peer] ?? 0 }

    /// What is known of a route.
    func state(_ key: RouteKey) -> RouteState { routes[key] ?? RouteState() }

    /// How quickly this node packs and unpacks.
    func speed(_ codec: Codec) -> CodecSpeed {
        speeds.first { $0.codec == codec }
            ?? CodecSpeed(
                codec: codec, packedPerMicrosecond: Self.assumedSpeed,
                unpackedPerMicrosecond: Self.assumedSpeed)
    }

    /// What this node sends packed, or looked at for that, ascending by plan, route and peer.
    var inUse: [PackedRoute] {
        routes.map { key, state in
            PackedRoute(
                plan: key.plan, route: key.route, peer: key.peer, codec: state.codec,
                plainBytes: state.plainBytes, sentBytes: state.sentBytes)
        }.sorted { ($0.plan, $0.route, $0.peer) < ($1.plan, $1.route, $1.peer) }
    }

    // MARK: Events

    mutating func onUnpacks(_ peer: NodeBoot) { unpacking.insert(peer) }

    mutating func onDisconnected(_ peer: NodeBoot) {
        unpacking.remove(peer)
        queued[peer] = nil
        routes = routes.filter { $0.key.peer != peer }
    }

    mutating func onMeasured(_ measured: [CodecSpeed]) {
        speeds = measured.filter { $0.packedPerMicrosecond > 0 && $0.unpackedPerMicrosecond > 0 }
    }

    /// A slice is about to go.
    mutating func onSending(_ byteCount: Int, to peer: NodeBoot) {
        queued[peer, default: 0] += byteCount
    }

    /// A slice went: what it says of the tensor and of this node.
    mutating func onSent(_ slice: SentSlice) {
        if let left = queued[slice.peer] {
            queued[slice.peer] = left > slice.byteCount ? left - slice.byteCount : nil
        }
        guard slice.codec != .none, slice.byteCount > 0 else { return }
        let key = RouteKey(plan: slice.plan, route: slice.route, peer: slice.peer)
        if slice.codec.isLossy, slice.sentByteCount == slice.byteCount {
            guard routes[key]?.unfit.contains(slice.codec) == false else { return }
            routes[key]?.unfit.append(slice.codec)
            routes[key]?.since = nil
            return
        }
        routes[key]?.plainBytes += slice.byteCount
        routes[key]?.sentBytes += slice.sentByteCount
        if slice.codec == .lossless, var state = routes[key] {
            let sample = CostArithmetic.scaled(
                slice.sentByteCount, by: 1_000, over: slice.byteCount)
            // Newer tensors count a quarter: one odd input changes nothing.
            state.losslessPerMille = state.losslessPerMille.map { ($0 * 3 + sample) / 4 } ?? sample
            routes[key] = state
        }
        guard let place = speeds.firstIndex(where: { $0.codec == slice.codec }) else { return }
        let rate = UInt64(slice.byteCount) / UInt64(max(slice.packMicroseconds, 1))
        let old = speeds[place].packedPerMicrosecond
        speeds[place].packedPerMicrosecond = max(1, (old * 7 + rate) / 8)
    }

    // MARK: Choosing

    /// Whether a route keeps its codec for now, without another look.
    func holds(_ key: RouteKey, at now: Timestamp) -> Bool {
        let state = state(key)
        if let since = state.since, now - since < Self.holdSpan { return true }
        return state.looked.map { now - $0 < Self.lookSpan } ?? false
    }

    /// Whether it is time to try how far a route's tensors pack.
    func isTrialDue(_ key: RouteKey, at now: Timestamp) -> Bool {
        let state = state(key)
        guard let tried = state.tried else { return true }
        // While the answer to the last trial is on its way, there is nothing to go by.
        return now - tried >= Self.trialSpan
    }

    /// Notes the codec of a route; true if it changed and is to stay.
    mutating func use(
        _ codec: Codec, on key: RouteKey, isTrial: Bool, at now: Timestamp
    ) -> Bool {
        if routes.count >= Self.routesMax, routes[key] == nil { routes = [:] }
        var state = state(key)
        state.looked = now
        defer { routes[key] = state }
        if isTrial {
            state.tried = now
            return false
        }
        guard state.codec != codec else { return false }
        state.codec = codec
        state.since = now
        return true
    }
}
