import TesseraCore

/// The kinds of the events that an agent tells: the words in `EventDocument.kind`.
enum EventKind: String, CaseIterable, Sendable {
    case member
    case named
    case lossDetected
    case lossTold
    case redispatched
    case proposed
    case staging
    case decided
    case armed
    case recovered
    case late
    case refused
    case crashed
    case roundFailed
    case unplannable
    case catalogue
    case codec
    case blob
    case limit

    /// The kind of a report of the core.
    init(_ report: Report) {
        switch report {
        case .member: self = .member
        case .named: self = .named
        case .lossDetected: self = .lossDetected
        case .lossTold: self = .lossTold
        case .redispatched: self = .redispatched
        case .proposed: self = .proposed
        case .staging: self = .staging
        case .decided: self = .decided
        case .armed: self = .armed
        case .recovered: self = .recovered
        case .late: self = .late
        case .refused: self = .refused
        case .crashed: self = .crashed
        case .roundFailed: self = .roundFailed
        case .unplannable: self = .unplannable
        case .catalogue: self = .catalogue
        case .codec: self = .codec
        case .blob: self = .blob
        case .limit: self = .limit
        }
    }
}
