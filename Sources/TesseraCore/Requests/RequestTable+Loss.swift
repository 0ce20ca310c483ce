// What happens to open requests when a node, a connection or time is lost.

extension RequestTable {
    /// A run of a node is lost: attempts that use it go back to the queue.
    ///
    /// Gives the models whose queues must look again.
    mutating func onLost(
        _ lost: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) -> [ManifestID] {
        var hit: Set<ManifestID> = []
        for counter in requests.keys.sorted().reversed() {
            guard let request = requests[counter], let attempt = request.attempt,
                attempt.layout.hosts(attempt.choice).contains(lost)
            else { continue }
            let wasExecuting = attempt.running.contains {
                attempt.layout.plan.fragments[$0].host == lost
            }
            endAttempt(counter, into: &directives)
            requests[counter]?.lost = lost
            requests[counter]?.lostAt = now
            // One node that is lost twice, by a bad link, is still one node.
            if wasExecuting, !request.deaths.contains(lost) {
                requests[counter]?.deaths.append(lost)
            }
            if (requests[counter]?.deaths.count ?? 0) >= limits.deaths
                || request.attempts >= Self.attemptsMax
            {
                directives.append(
                    .reject(
                        request.client,
                        .refused(
                            reason: "two nodes died while they executed this request; it is not "
                                + "tried a third time")))
                finish(counter, into: &directives)
            } else {
                queues[request.manifest, default: []].insert(counter, at: 0)
            }
            hit.insert(request.manifest)
        }
        for id in tickets.keys.sorted() where tickets[id]?.gate == lost {
            tickets.removeValue(forKey: id)
        }
        return hit.sorted()
    }

    /// The connection between two other nodes broke: attempts with a slice on that way start again.
    ///
    /// Gives the models whose queues must look again.
    mutating func onLinkLost(
        _ one: NodeBoot, _ other: NodeBoot, into directives: inout [Directive]
    ) -> [ManifestID] {
        var hit: Set<ManifestID> = []
        for counter in requests.keys.sorted().reversed() {
            guard let request = requests[counter], let attempt = request.attempt,
                attempt.layout.usesLink(one, other, attempt.choice),
                request.attempts < Self.attemptsMax
            else { continue }
            endAttempt(counter, into: &directives)
            queues[request.manifest, default: []].insert(counter, at: 0)
            hit.insert(request.manifest)
        }
        return hit.sorted()
    }

    /// How long an attempt may take before the entry tries once more, without any proof of a loss.
    ///
    /// Far beyond what its plan predicts with every ticket out, so that load alone never does it.
    static func patience(_ plan: Plan) -> TimeSpan {
        let predicted =
            8 * plan.predictedLatencyMicroseconds
            + 4 * Int64(plan.window) * plan.predictedPeriodMicroseconds
        return max(.seconds(3), .microseconds(predicted))
    }

    /// Starts attempts again that have outlasted their patience; each request only once.
    mutating func retryOverdue(now: Timestamp, into directives: inout [Directive]) {
        for counter in requests.keys.sorted() {
            guard let request = requests[counter], let attempt = request.attempt,
                !request.wasOverdue, attempt.started + Self.patience(attempt.layout.plan) <= now
            else { continue }
            endAttempt(counter, into: &directives)
            requests[counter]?.wasOverdue = true
            queues[request.manifest, default: []].insert(counter, at: 0)
            directives.append(.report(.limit("time of an attempt", count: 1)))
        }
    }
}
