/// All that the choice of a codec for one slice rests on.
///
/// Values in, a codec and the reason out: the same everywhere, and testable by itself.
public struct CodecChoice: Hashable, Sendable {
    /// A codec that may be used, with what it does on this route.
    public struct Option: Hashable, Sendable {
        /// The codec.
        public var codec: Codec
        /// What it leaves of the bytes, in thousandths; nil if nobody knows and it is time to try.
        public var perMille: Int?
        /// Time to pack the slice here.
        public var packNanoseconds: Int
        /// Time to unpack it there.
        public var unpackNanoseconds: Int

        /// Makes an option.
        public init(
            codec: Codec, perMille: Int?, packNanoseconds: Int, unpackNanoseconds: Int
        ) {
            self.codec = codec
            self.perMille = perMille
            self.packNanoseconds = packNanoseconds
            self.unpackNanoseconds = unpackNanoseconds
        }
    }

    /// Why a codec was chosen.
    public enum Reason: Hashable, Sendable {
        /// Nothing is known of the link yet.
        case unknownLink
        /// The link keeps up with the tensor as it is.
        case linkKeepsUp(busyMicroseconds: Int64, neededMicroseconds: Int64)
        /// The link binds, or slices wait before it, and with the codec it is busy for less.
        case linkBinds(
            busyMicroseconds: Int64, neededMicroseconds: Int64, packedMicroseconds: Int64)
        /// The link binds, and how far the tensor packs is tried out.
        case tried
        /// One item alone is quicker with the codec.
        case quicker(plainMicroseconds: Int64, packedMicroseconds: Int64)
        /// No codec makes up for its own time.
        case noGain
    }

    /// Bytes of the slice as it is.
    public var byteCount: Int
    /// Bytes per second of the link; 0 if not known.
    public var bytesPerSecond: UInt64
    /// Bytes, before packing, that were given to the link and not taken yet.
    public var queuedBytes: Int
    /// How long the link may be busy with this slice if it is not to slow the plan down.
    public var neededNanoseconds: Int
    /// Whether the time of one item alone counts, not the pace of a stream.
    public var isForLatency: Bool
    /// The codecs that may be used besides none, from what changes answers least.
    public var options: [Option]
    /// The codec in use.
    public var present: Codec

    /// Makes a question.
    public init(
        byteCount: Int, bytesPerSecond: UInt64, queuedBytes: Int, neededNanoseconds: Int,
        isForLatency: Bool, options: [Option], present: Codec
    ) {
        self.byteCount = byteCount
        self.bytesPerSecond = bytesPerSecond
        self.queuedBytes = queuedBytes
        self.neededNanoseconds = neededNanoseconds
        self.isForLatency = isForLatency
        self.options = options
        self.present = present
    }

    /// A link that is busy for more than this part of what is needed binds, in percent.
    static let bindsPercent = 80
    /// One that was bound is free again below this, in percent: between the two nothing changes.
    static let freePercent = 60
    /// A codec is used if it takes at most this part of what the slice takes as it is, in percent.
    static let gainPercent = 90
    /// Another codec replaces the present one if it takes at most this part of its time, in percent.
    static let changePercent = 80
    /// So many slices before a link mean that it does not keep up, whatever was measured of it.
    static let queuedSlices = 3

    /// The codec for the slice, and why.
    public func decide() -> (codec: Codec, reason: Reason) {
        guard bytesPerSecond > 0 else { return (.none, .unknownLink) }
        return isForLatency ? decideForLatency() : decideForPace()
    }

    private func decideForPace() -> (codec: Codec, reason: Reason) {
        let plain = linkNanoseconds(perMille: 1_000)
        let bound = needed(present == .none ? Self.bindsPercent : Self.freePercent)
        let waiting = present == .none ? Self.queuedSlices : 1
        guard plain > bound || queuedBytes > waiting * byteCount else {
            return (
                .none,
                .linkKeepsUp(
                    busyMicroseconds: CostArithmetic.microseconds(plain),
                    neededMicroseconds: CostArithmetic.microseconds(neededNanoseconds))
            )
        }
        let gaining = options.filter { $0.perMille != nil }
            .map { (codec: $0.codec, time: busyNanoseconds($0)) }
            .filter { CostArithmetic.scaled($0.time, by: 100, over: Self.gainPercent) <= plain }
        // The first that lets the plan keep its pace changes answers least of those that do.
        let enough = gaining.first { option in
            let percent =
                if option.codec == present {
                    100
                } else {
                    option.codec < present ? Self.freePercent : Self.bindsPercent
                }
            return option.time <= needed(percent)
        }
        if enough == nil || (enough?.codec ?? .none) > .lossless,
            let trial = options.first(where: { $0.perMille == nil })
        {
            return (trial.codec, .tried)
        }
        let old = gaining.first { $0.codec == present }
        guard var best = enough ?? gaining.min(by: { ($0.time, $0.codec) < ($1.time, $1.codec) })
        else { return (.none, .noGain) }
        if enough == nil, let old,
            best.time > CostArithmetic.scaled(old.time, by: Self.changePercent, over: 100)
        {
            best = old
        }
        return (
            best.codec,
            .linkBinds(
                busyMicroseconds: CostArithmetic.microseconds(plain),
                neededMicroseconds: CostArithmetic.microseconds(neededNanoseconds),
                packedMicroseconds: CostArithmetic.microseconds(best.time))
        )
    }

    private func decideForLatency() -> (codec: Codec, reason: Reason) {
        let plain = linkNanoseconds(perMille: 1_000)
        if let trial = options.first(where: { $0.perMille == nil }),
            trial.packNanoseconds + trial.unpackNanoseconds
                <= CostArithmetic.scaled(plain, by: Self.freePercent, over: 100)
        {
            return (trial.codec, .tried)
        }
        let timed = options.filter { $0.perMille != nil }.map { option in
            (
                codec: option.codec,
                time: option.packNanoseconds + option.unpackNanoseconds
                    + linkNanoseconds(perMille: option.perMille ?? 1_000)
            )
        }
        let shortest = timed.map(\.time).min() ?? plain
        let limit = present == .none ? Self.gainPercent : 100
        guard CostArithmetic.scaled(shortest, by: 100, over: limit) <= plain else {
            return (.none, .noGain)
        }
        let old = timed.first { $0.codec == present }
        // Of what is about as quick, what changes answers least.
        var best = timed.first {
            $0.time <= CostArithmetic.scaled(shortest, by: 100, over: Self.gainPercent)
        }
        if let old, let other = best,
            other.time > CostArithmetic.scaled(old.time, by: Self.changePercent, over: 100),
            old.codec <= other.codec || other.time > shortest
        {
            best = old
        }
        guard let best else { return (.none, .noGain) }
        return (
            best.codec,
            .quicker(
                plainMicroseconds: CostArithmetic.microseconds(plain),
                packedMicroseconds: CostArithmetic.microseconds(best.time))
        )
    }

    private func needed(_ percent: Int) -> Int {
        CostArithmetic.scaled(neededNanoseconds, by: percent, over: 100)
    }

    private func linkNanoseconds(perMille: Int) -> Int {
        CostArithmetic.scaled(
            CostArithmetic.scaled(byteCount, by: perMille, over: 1_000), by: 1_000_000_000,
            over: Int(clamping: bytesPerSecond))
    }

    /// The busiest of the three that a slice passes: they work on different slices at once.
    private func busyNanoseconds(_ option: Option) -> Int {
        max(
            linkNanoseconds(perMille: option.perMille ?? 1_000), option.packNanoseconds,
            option.unpackNanoseconds)
    }
}

extension CodecChoice.Reason: CustomStringConvertible {
    /// One clause with figures.
    public var description: String {
        func text(_ microseconds: Int64) -> String {
            let tenths = (microseconds + 50) / 100
            return "\(tenths / 10).\(tenths % 10) ms"
        }
        return switch self {
        case .unknownLink: "the link's speed is not known"
        case .linkKeepsUp(let busy, let needed):
            "the link takes \(text(busy)) of the \(text(needed)) that it has"
        case .linkBinds(let busy, let needed, let packed):
            "the link takes \(text(busy)) where it has \(text(needed)); packed \(text(packed))"
        case .tried: "the link binds, and how far the tensor packs is tried"
        case .quicker(let plain, let packed):
            "one item alone takes \(text(plain)) over the link, packed \(text(packed))"
        case .noGain: "no codec makes up for its own time"
        }
    }
}
