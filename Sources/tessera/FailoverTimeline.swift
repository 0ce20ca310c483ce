import TesseraAPI

/// What followed the loss of one node, in milliseconds since it was first noticed.
struct FailoverDocument: Codable, Equatable {
    /// The node that was lost.
    var node: String
    /// When it was noticed: microseconds since the agent started.
    var atMicroseconds: Int64
    /// Whether this agent noticed by itself; else another told it.
    var isOwnDetection: Bool
    /// This agent saw that its connection broke.
    var detected: Double?
    /// Another agent said that it cannot reach the node.
    var told: Double?
    /// Open requests were tried again under another plan.
    var redispatched: Double?
    /// The hosts of a new plan began to make it ready.
    var staged: Double?
    /// A new plan was decided.
    var decided: Double?
    /// The first right answer to a request that the loss had touched.
    var firstAnswer: Double?
}

/// `events --failover --json`.
struct FailoversDocument: Codable, Equatable {
    /// The version of this form.
    var version = controlVersion
    /// One for each loss, oldest first.
    var losses: [FailoverDocument]
}

/// Follows an agent's events and notes what each loss led to.
struct FailoverTimeline {
    /// What comes later than this after a loss has another cause.
    private static let reachMicroseconds: Int64 = 30_000_000

    private(set) var losses: [FailoverDocument] = []

    /// The losses of one node only.
    func only(about node: String) -> FailoverTimeline {
        var result = self
        result.losses.removeAll { $0.node != node }
        return result
    }

    /// Takes the next event, oldest first.
    mutating func take(_ event: EventDocument) {
        switch EventKind(rawValue: event.kind) {
        case .lossDetected: note(event, \.detected, opens: true)
        case .lossTold: note(event, \.told, opens: true)
        // A device without power is held dead before its silent connection counts as broken.
        case .redispatched: note(event, \.redispatched, opens: true)
        case .recovered: note(event, \.firstAnswer, opens: false)
        case .staging: noteForAll(event, \.staged)
        case .decided: noteForAll(event, \.decided)
        default: break
        }
    }

    /// Notes an event that names the lost node.
    private mutating func note(
        _ event: EventDocument, _ step: WritableKeyPath<FailoverDocument, Double?>, opens: Bool
    ) {
        guard let node = event.node else { return }
        if let index = losses.lastIndex(where: { $0.node == node }), !isOver(losses[index], event) {
            set(index, step, event)
        } else if opens {
            losses.append(
                FailoverDocument(
                    node: node, atMicroseconds: event.atMicroseconds,
                    isOwnDetection: step != \.told))
            set(losses.count - 1, step, event)
        }
    }

    /// Notes an event that belongs to every open loss: a plan answers all of them.
    private mutating func noteForAll(
        _ event: EventDocument, _ step: WritableKeyPath<FailoverDocument, Double?>
    ) {
        for index in losses.indices
        where event.atMicroseconds - losses[index].atMicroseconds
            <= Self.reachMicroseconds
        {
            set(index, step, event)
        }
    }

    /// Whether another loss of the same node is a new one: the former was detected and answered.
    private func isOver(_ loss: FailoverDocument, _ event: EventDocument) -> Bool {
        let isLater = event.atMicroseconds - loss.atMicroseconds > Self.reachMicroseconds
        let isDetectedAgain =
            EventKind(rawValue: event.kind) == .lossDetected && loss.detected != nil
        return isLater || isDetectedAgain
    }

    private mutating func set(
        _ index: Int, _ step: WritableKeyPath<FailoverDocument, Double?>, _ event: EventDocument
    ) {
        guard losses[index][keyPath: step] == nil else { return }
        let span = event.atMicroseconds - losses[index].atMicroseconds
        losses[index][keyPath: step] = Double(span) / 1_000
    }

    /// The losses as a table; a step that did not happen is a dash.
    var table: Table {
        var table = Table(
            "LOST NODE", ">DETECTED", ">TOLD", ">RE-DISPATCHED", ">STAGED", ">DECIDED",
            ">FIRST ANSWER")
        func text(_ step: Double?) -> String {
            step.map { Figures.milliseconds($0) + " ms" } ?? "-"
        }
        for loss in losses {
            table.add(
                loss.node, text(loss.detected), text(loss.told), text(loss.redispatched),
                text(loss.staged), text(loss.decided), text(loss.firstAnswer))
        }
        return table
    }
}
