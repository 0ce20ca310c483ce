// What time does to open requests.

extension RequestTable {
    /// Attempts of one request that clocks may add to: the first, and two more.
    static let clockedAttemptsMax = 3
    /// A late attempt for which there is nothing else now is looked at again after this span.
    private static let lookAgain = TimeSpan.seconds(1)

    /// How long an attempt may take before the entry tries once more, without any proof of a loss.
    ///
    /// Far beyond what its plan predicts with every ticket out, so that load alone never does it. It
    /// is also the clock of fragments of which too little is known for one of their own.
    static func patience(_ plan: Plan) -> TimeSpan {
        let predicted =
            8 * plan.predictedLatencyMicroseconds
            + 4 * Int64(plan.window) * plan.predictedPeriodMicroseconds
        return max(.seconds(3), .microseconds(predicted))
    }

    /// Ends what has run out of time or patience.
    mutating func onWake(
        now: Timestamp, routing: (ManifestID) -> Routing, into directives: inout [Directive]
    ) {
        guard now >= nextWake else { return }
        for item in delayed where item.until <= now {
            guard requests[item.counter]?.running.isEmpty == true else { continue }
            enqueueFirst(item.counter)
        }
        delayed.removeAll { $0.until <= now }
        for counter in requests.keys.sorted() {
            guard let request = requests[counter] else { continue }
            if request.deadline <= now {
                expire(counter, into: &directives)
            } else if let since = request.stranded, request.running.isEmpty,
                since + limits.stranded <= now
            {
                directives.append(
                    .reject(
                        request.client, .unavailable(reason: routing(request.manifest).reason)))
                finish(counter, into: &directives)
            } else if request.running.count == 1 {
                if request.running[0].overdue <= now {
                    giveUpOverdue(counter, request, now: now, into: &directives)
                } else {
                    tryElsewhere(counter, request, routing, now: now, into: &directives)
                }
            }
        }
        noteNextWake(now: now)
    }

    private mutating func noteNextWake(now: Timestamp) {
        nextWake = delayed.map(\.until).min() ?? .never
        for request in requests.values {
            nextWake = min(nextWake, request.deadline)
            if let since = request.stranded, request.running.isEmpty {
                nextWake = min(nextWake, since + limits.stranded)
            }
            guard request.running.count == 1 else { continue }
            nextWake = min(nextWake, request.running[0].overdue)
            for run in request.running[0].runs.values { nextWake = min(nextWake, run.due) }
        }
        for held in tickets.values where held.wished > 0 {
            nextWake = min(nextWake, max(now, held.askedAt) + Self.askAgain)
        }
    }

    /// Starts an attempt again that has outlasted its patience; each request only once.
    private mutating func giveUpOverdue(
        _ counter: UInt64, _ request: Request, now: Timestamp, into directives: inout [Directive]
    ) {
        guard !request.wasOverdue, request.attempts < Self.clockedAttemptsMax else {
            requests[counter]?.running[0].overdue = .never
            return
        }
        guard budget.take(now: now) else {
            requests[counter]?.running[0].overdue = now + Self.lookAgain
            return directives.append(.report(.limit("retries of late attempts", count: 1)))
        }
        counts.note(.late)
        endAttempt(counter, 0, into: &directives)
        requests[counter]?.wasOverdue = true
        enqueueFirst(counter)
        directives.append(.report(.limit("time of an attempt", count: 1)))
    }

    /// If a fragment has outlasted its clock: a second attempt that does without its host.
    ///
    /// The first one goes on; whichever ends first answers.
    private mutating func tryElsewhere(
        _ counter: UInt64, _ request: Request, _ routing: (ManifestID) -> Routing, now: Timestamp,
        into directives: inout [Directive]
    ) {
        let attempt = request.running[0]
        guard
            let (fragment, run) = attempt.runs.filter({ $0.value.due <= now })
                .min(by: { ($0.value.since, $0.key) < ($1.value.since, $1.key) })
        else { return }
        let mayGoOn = request.attempts < Self.clockedAttemptsMax
        for (late, run) in attempt.runs where run.due <= now {
            requests[counter]?.running[0].runs[late]?.due =
                mayGoOn ? now + Self.lookAgain : .never
        }
        guard mayGoOn, !isWaiting(counter, request) else { return }
        let host = attempt.layout.plan.fragments[fragment].host
        let routing = routing(request.manifest)
        let plans = (routing.usable.map { [$0] } ?? []) + routing.others
        let target = plans.first { layout in
            let expected = TimeSpan.microseconds(layout.plan.predictedLatencyMicroseconds)
            let choice = layout.choice(of: nextAttempt(counter, request, layout.id))
            return !layout.hosts(choice).contains(host) && now + expected <= request.deadline
        }
        guard let target else { return }
        guard budget.take(now: now) else {
            return directives.append(.report(.limit("retries of late attempts", count: 1)))
        }
        if target.id == routing.usable?.id {
            enqueueFirst(counter)
        } else {
            let waiting = elsewhere[target.id]?.counters ?? []
            elsewhere[target.id] = (request.manifest, waiting + [counter])
        }
        directives.append(.report(.late(host, ran: now - run.since, elsewhere: target.id)))
    }

    /// Whether a request waits for a ticket.
    private func isWaiting(_ counter: UInt64, _ request: Request) -> Bool {
        queues[request.manifest]?.contains(counter) == true
            || elsewhere.values.contains { $0.counters.contains(counter) }
    }

    /// This node stood still for a while: the clocks stood still with it.
    mutating func onStalled(for span: TimeSpan) {
        for (counter, request) in requests {
            for (place, attempt) in request.running.enumerated() {
                requests[counter]?.running[place].overdue = attempt.overdue + span
                for (fragment, run) in attempt.runs {
                    requests[counter]?.running[place].runs[fragment]?.due = run.due + span
                }
            }
        }
    }
}
