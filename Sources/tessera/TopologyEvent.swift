/// Something that happens to a described mesh (`events` in Docs/Topologies.md).
struct TopologyEvent: Equatable {
    /// What happens; nodes are indices of the topology's nodes.
    enum Kind: Equatable {
        /// Power loss.
        case crash([Int])
        /// Power again.
        case boot([Int])
        /// Agents leave in order.
        case leave([Int])
        /// Everything on the nodes stops where it is.
        case freeze([Int])
        /// It goes on.
        case thaw([Int])
        /// Nobody hears the nodes.
        case isolate([Int])
        /// The nodes of one side and of the other do not hear each other.
        case cut([Int], [Int])
        /// Every cut, isolation and loss is mended.
        case heal
        /// The nodes get so many thousandths of a processor.
        case processors([Int], thousandths: Int)
        /// The nodes' cables get this rate.
        case rate([Int], bitsPerSecond: Int)
        /// So many of a million frames of the nodes are lost each way.
        case loss([Int], millionths: Int)
    }

    /// More events than this are a mistake.
    private static let eventsMax = 1_000
    /// A day: longer runs are a mistake.
    private static let secondsMax = 86_400.0
    /// The least part of a processor that Linux can limit to, and more than any machine has.
    private static let shares = (least: 0.001, most: 1_024.0)
    private static let kinds = [
        "crash", "boot", "leave", "freeze", "thaw", "isolate", "cut", "heal", "cpu", "rate", "loss",
    ]

    /// When, in nanoseconds after the beginning.
    let atNanoseconds: Int
    /// What.
    let kind: Kind

    /// Reads `events`; the events in the order of their moments, those of one moment in that of the
    /// file.
    static func events(_ field: DocumentField, _ names: TopologyNames) throws -> [TopologyEvent] {
        let events = try field.list(atMost: eventsMax).map { try TopologyEvent($0, names) }
        return events.enumerated().sorted { one, other in
            (one.element.atNanoseconds, one.offset) < (other.element.atNanoseconds, other.offset)
        }.map(\.element)
    }

    private init(_ field: DocumentField, _ names: TopologyNames) throws {
        let members = try field.members(["at_seconds"] + Self.kinds + ["share", "bits_per_second"])
        let seconds = try members.required("at_seconds").number(
            to: Self.secondsMax, unit: "seconds")
        atNanoseconds = Int((seconds * 1e9).rounded())
        let told = Self.kinds.compactMap { name in
            members.optional(name).map { (name: name, field: $0) }
        }
        guard told.count == 1, let (name, value) = told.first else {
            throw field.failure(
                "an event has exactly one of \(Self.kinds.joined(separator: ", ")); this has "
                    + "\(told.count)")
        }
        let figure = ["cpu": "share", "loss": "share", "rate": "bits_per_second"][name]
        for key in ["share", "bits_per_second"] where key != figure {
            if let other = members.optional(key) {
                throw other.failure("'\(key)' does not belong to '\(name)'")
            }
        }
        kind = try Self.kind(name, value, members, names)
    }

    private static func kind(
        _ name: String, _ value: DocumentField, _ members: DocumentMembers, _ names: TopologyNames
    ) throws -> Kind {
        switch name {
        case "heal":
            guard try value.text() == "all" else {
                throw value.failure("expected is 'all': every cut is mended at once")
            }
            return .heal
        case "cut": return try cut(value, names)
        default: break
        }
        let nodes = Array(try names.nodes(value))
        switch name {
        case "crash": return .crash(nodes)
        case "boot": return .boot(nodes)
        case "leave": return .leave(nodes)
        case "freeze": return .freeze(nodes)
        case "thaw": return .thaw(nodes)
        case "isolate": return .isolate(nodes)
        case "cpu":
            let share = try members.required("share").number(
                from: shares.least, to: shares.most, unit: "processors")
            return .processors(nodes, thousandths: Int((share * 1e3).rounded()))
        case "rate":
            let rate = try TopologyLinks.rate(members.required("bits_per_second"))
            return .rate(nodes, bitsPerSecond: rate)
        default:
            let share = try members.required("share").number(to: 1, unit: "packets, as a share")
            return .loss(nodes, millionths: Int((share * 1e6).rounded()))
        }
    }

    private static func cut(_ value: DocumentField, _ names: TopologyNames) throws -> Kind {
        let ends = try value.list(atMost: 2).map { Array(try names.nodes($0)) }
        guard ends.count == 2 else { throw value.failure("a cut has two ends, [A, B]") }
        guard Set(ends[0]).isDisjoint(with: ends[1]) else {
            throw value.failure("a node cannot be cut from itself")
        }
        return .cut(ends[0], ends[1])
    }
}
