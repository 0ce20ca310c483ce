/// A 256-bit identity of one kind of thing; `Kind` keeps identities of different things apart.
///
/// Identities are SHA-256 digests or come from one. The core compares and sorts them and never
/// computes them: hashing is the shell's work.
public struct Identity<Kind>: Hashable, Comparable, Sendable {
    /// The 32 bytes as four big-endian words, so that their order is the order of the bytes.
    public let words: (UInt64, UInt64, UInt64, UInt64)

    /// Makes an identity from four big-endian words.
    public init(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
        words = (first, second, third, fourth)
    }

    /// Makes an identity from exactly 32 bytes; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var parts: [UInt64] = []
        var word: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            word = word << 8 | UInt64(byte)
            if index % 8 == 7 {
                parts.append(word)
                word = 0
            }
        }
        self.init(parts[0], parts[1], parts[2], parts[3])
    }

    /// Makes an identity from 64 hexadecimal digits; nil for anything else.
    public init?(hexadecimal: some StringProtocol) {
        let digits = hexadecimal.utf8.compactMap { Self.value(ofDigit: $0) }
        guard digits.count == 64, hexadecimal.utf8.count == 64 else { return nil }
        self.init(bytes: stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }

    /// The 32 bytes.
    public var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(32)
        for word in [words.0, words.1, words.2, words.3] {
            for shift in stride(from: 56, through: 0, by: -8) {
                result.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return result
    }

    /// The 64 lower-case hexadecimal digits.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The first eight digits: enough for people, never for machines.
    public var short: String { String(hexadecimal.prefix(8)) }

    /// Equal bytes.
    public static func == (left: Self, right: Self) -> Bool { left.words == right.words }

    /// The order of the bytes.
    public static func < (left: Self, right: Self) -> Bool { left.words < right.words }

    /// Feeds the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }

    private static func value(ofDigit digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }
}

extension Identity: CustomStringConvertible {
    /// The short form.
    public var description: String { short }
}

/// Marks the identity of a node: the hash of its signing key.
public enum NodeKind: Sendable {}
/// Marks the identity of a blob: the hash of its bytes.
public enum BlobKind: Sendable {}
/// Marks the identity of a manifest: the hash of its bytes; it names a model.
public enum ManifestKind: Sendable {}
/// Marks the identity of a request's inputs: the hash of their bytes, one input after the other.
public enum InputKind: Sendable {}
/// Marks the identity of a plan: the hash of its canonical encoding.
public enum PlanKind: Sendable {}

/// Names a node for its whole life: the SHA-256 of its public signing key.
public typealias NodeID = Identity<NodeKind>
/// Names a blob by the SHA-256 of its bytes.
public typealias BlobID = Identity<BlobKind>
/// Names a model: the SHA-256 of its manifest.
public typealias ManifestID = Identity<ManifestKind>
/// Names a request's inputs by the SHA-256 of their bytes, in the model's order.
public typealias InputDigest = Identity<InputKind>
/// Names a plan: the SHA-256 of its canonical encoding, ballot included.
public typealias PlanID = Identity<PlanKind>

/// One run of an agent: a counter that the agent keeps on its disk, and random bits that tell two
/// runs apart even if the disk was put back.
public struct Boot: Hashable, Comparable, Sendable {
    /// One more than the run before.
    public var counter: UInt64
    /// Drawn when the run began.
    public var random: UInt64

    /// Makes the boot with this counter and these random bits.
    public init(counter: UInt64, random: UInt64) {
        self.counter = counter
        self.random = random
    }

    /// Newer boots are greater; the random bits break ties.
    public static func < (left: Boot, right: Boot) -> Bool {
        (left.counter, left.random) < (right.counter, right.random)
    }
}

/// One run of one node: the unit that votes, holds fragments and dies.
public struct NodeBoot: Hashable, Comparable, Sendable {
    /// The node.
    public var node: NodeID
    /// Its run.
    public var boot: Boot

    /// Makes the pair.
    public init(node: NodeID, boot: Boot) {
        self.node = node
        self.boot = boot
    }

    /// By node, then by boot.
    public static func < (left: NodeBoot, right: NodeBoot) -> Bool {
        (left.node, left.boot) < (right.node, right.boot)
    }
}

/// A proposal's number.
///
/// The ballot of a decided plan is its epoch: unique everywhere, also across a split, because it
/// names its proposer and the proposer's run.
public struct Ballot: Hashable, Comparable, Sendable {
    /// One more than the highest round that the proposer had seen.
    public var round: UInt64
    /// Who proposed.
    public var proposer: NodeBoot

    /// Makes the ballot.
    public init(round: UInt64, proposer: NodeBoot) {
        self.round = round
        self.proposer = proposer
    }

    /// By round, then by proposer.
    public static func < (left: Ballot, right: Ballot) -> Bool {
        (left.round, left.proposer) < (right.round, right.proposer)
    }
}

/// Names a request everywhere: given by the entry, never by the client.
public struct RequestID: Hashable, Comparable, Sendable {
    /// The node where the request came in, and its run.
    public var entry: NodeBoot
    /// Counts the requests of that run.
    public var counter: UInt64

    /// Makes the identity.
    public init(entry: NodeBoot, counter: UInt64) {
        self.entry = entry
        self.counter = counter
    }

    /// By entry, then by counter.
    public static func < (left: RequestID, right: RequestID) -> Bool {
        (left.entry, left.counter) < (right.entry, right.counter)
    }
}

/// One try of one request under exactly one plan: the whole key that every frame, ticket, cancel and
/// join carries, so that no two plans ever meet in one attempt.
public struct AttemptID: Hashable, Comparable, Sendable {
    /// The request.
    public var request: RequestID
    /// Counts the request's tries from 1.
    public var number: UInt8
    /// The plan it runs under.
    public var plan: PlanID

    /// Makes the key.
    public init(request: RequestID, number: UInt8, plan: PlanID) {
        self.request = request
        self.number = number
        self.plan = plan
    }

    /// By request, then number, then plan.
    public static func < (left: AttemptID, right: AttemptID) -> Bool {
        (left.request, left.number, left.plan) < (right.request, right.number, right.plan)
    }
}
