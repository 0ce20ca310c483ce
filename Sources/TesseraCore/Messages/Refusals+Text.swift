// What a refusal says to a person.

extension AgreementRefusal: CustomStringConvertible {
    /// One clause: why.
    public var description: String {
        switch self {
        case .promisedHigher(let ballot):
            "it promised round \(ballot.round) of node \(ballot.proposer.node) already"
        case .notInView: "its present run was not asked"
        case .holdsDead(let member): "it holds node \(member.node) dead"
        case .leased(_, let ballot):
            "the staging of node \(ballot.proposer.node) goes first"
        case .unknownModel: "the model's manifest has not arrived there"
        case .invalidPlan: "the plan does not fit the model"
        case .worse(let current, let proposed):
            "by its records the plan takes \(proposed) us per answer, the current one \(current) us"
        }
    }
}

extension HostRefusal: CustomStringConvertible {
    /// One clause: why.
    public var description: String {
        switch self {
        case .memory(let needed, let free):
            "it needs \(needed) bytes of memory and \(free) are free"
        case .missingBlobs(let count): "nobody reachable has \(count) of the blobs"
        case .engine(let reason): "the engine refuses: \(reason)"
        case .otherBoot: "it runs anew since"
        case .leaving: "it is leaving"
        case .superseded: "a later proposal took over"
        case .proposerLost: "it had lost the proposer meanwhile"
        }
    }
}

extension AttemptFailure: CustomStringConvertible {
    /// One clause: why.
    public var description: String {
        switch self {
        case .gone: "a node does not hold the plan any more"
        case .full: "a node has no room for another request"
        case .engine(let reason): "the engine failed: \(reason)"
        case .malformedSlice: "a tensor did not have the size or type that the plan says"
        case .leaving: "a node is leaving"
        case .unreachable: "two nodes of the plan have no connection to each other"
        }
    }
}
