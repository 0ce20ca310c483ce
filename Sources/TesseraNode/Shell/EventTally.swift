public import TesseraCore

/// What the events of an agent add up to since it started.
public struct EventTally: Hashable, Sendable {
    /// Different limits and models that are counted one by one: more than there are.
    static let namesMax = 512
    /// The limit that stands for all beyond `namesMax`.
    static let otherLimit = "other"

    /// How often a plan was decided for each model; only looked up, or sorted.
    public private(set) var plansDecided: [ManifestID: Int] = [:]
    /// How often each limit was reached; only looked up, or sorted.
    public private(set) var limits: [String: Int] = [:]
    /// Members whose connection broke while something relied on it.
    public private(set) var losses = 0
    /// First right answers after a loss, and how long they took together.
    public private(set) var recoveries = 0
    /// How long requests that a loss hit waited together.
    public private(set) var recoverySpan = TimeSpan.zero
    /// Rounds that ended without a decision.
    public private(set) var roundsFailed = 0
    /// Fragments that ran longer than their clock allows.
    public private(set) var lateRuns = 0

    /// Counts nothing yet.
    init() {}

    /// Something happened.
    mutating func note(_ report: Report) {
        switch report {
        case .decided(let manifest, _, _):
            guard plansDecided.count < Self.namesMax || plansDecided[manifest] != nil else {
                return
            }
            plansDecided[manifest, default: 0] += 1
        case .limit(let what, _):
            let name = Self.name(ofLimit: what)
            let isKnown = limits.count < Self.namesMax || limits[name] != nil
            limits[isKnown ? name : Self.otherLimit, default: 0] += 1
        case .lossDetected: losses += 1
        case .recovered(_, let span):
            recoveries += 1
            recoverySpan = recoverySpan + span
        case .roundFailed: roundsFailed += 1
        case .late: lateRuns += 1
        case .member, .named, .lossTold, .redispatched, .proposed, .staging, .armed, .refused,
            .crashed, .unplannable, .catalogue, .blob, .codec:
            break
        }
    }

    /// What a limit is called, without the node or the reason that it ends with.
    static func name(ofLimit text: String) -> String {
        let subject = text.prefix { $0 != ":" }
        let words = subject.split(separator: " ")
        guard let end = words.firstIndex(of: "for") else { return String(subject) }
        return words[..<end].joined(separator: " ")
    }
}
