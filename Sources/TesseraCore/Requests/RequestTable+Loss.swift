// What happens to open requests when a node or a connection is lost.

extension RequestTable {
    /// A run of a node is lost: attempts that use it go back to the queue, but for those that may do
    /// without what it computes of them.
    ///
    /// Gives the models whose queues must look again.
    mutating func onLost(
        _ lost: NodeBoot, allowances: [ManifestID: BranchAllowance] = [:], now: Timestamp,
        into directives: inout [Directive]
    ) -> [ManifestID] {
        var hit: Set<ManifestID> = []
        for counter in requests.keys.sorted().reversed() {
            guard let request = requests[counter] else { continue }
            let places = request.running.indices.filter { place in
                let attempt = request.running[place]
                return attempt.layout.hosts(attempt.choice).contains(lost)
            }
            guard !places.isEmpty else { continue }
            let wasExecuting = places.contains { place in
                let attempt = request.running[place]
                return attempt.runs.keys.contains {
                    attempt.layout.plan.fragments[$0].host == lost
                }
            }
            var isEnded = false
            for place in places.reversed() {
                if goesOn(counter, place, without: lost, allowances[request.manifest]) { continue }
                isEnded = true
                counts.note(.nodeLost)
                endAttempt(counter, place, into: &directives)
            }
            if isEnded {
                requests[counter]?.lost = lost
                requests[counter]?.lostAt = now
            }
            if wasExecuting { noteDeath(counter, of: lost, now: now, into: &directives) }
            if isEnded, requests[counter]?.running.isEmpty == true {
                if request.attempts >= Self.attemptsMax {
                    directives.append(
                        .reject(request.client, .failed(reason: "its nodes were lost each time")))
                    finish(counter, into: &directives)
                } else {
                    enqueueFirst(counter)
                }
            }
            hit.insert(request.manifest)
        }
        for id in tickets.keys.sorted() where tickets[id]?.gate == lost {
            tickets.removeValue(forKey: id)
        }
        spans.forget(lost)
        return hit.sorted()
    }

    /// Whether an attempt goes on without a lost node, whose branches its join leaves out.
    private mutating func goesOn(
        _ counter: UInt64, _ place: Int, without lost: NodeBoot, _ allowance: BranchAllowance?
    ) -> Bool {
        guard let allowance, let attempt = requests[counter]?.running[place],
            attempt.layout.canDoWithout(attempt.lost + [lost], allowance)
        else { return false }
        requests[counter]?.running[place].lost.append(lost)
        requests[counter]?.running[place].runs = attempt.runs.filter {
            attempt.layout.plan.fragments[$0.key].host != lost
        }
        return true
    }

    /// The connection between two other nodes broke: attempts with a slice on that way start again.
    ///
    /// Gives the models whose queues must look again.
    mutating func onLinkLost(
        _ one: NodeBoot, _ other: NodeBoot, into directives: inout [Directive]
    ) -> [ManifestID] {
        var hit: Set<ManifestID> = []
        for counter in requests.keys.sorted().reversed() {
            guard let request = requests[counter], request.attempts < Self.attemptsMax else {
                continue
            }
            let places = request.running.indices.filter { place in
                let attempt = request.running[place]
                return attempt.layout.usesLink(one, other, attempt.choice)
            }
            guard !places.isEmpty else { continue }
            for place in places.reversed() {
                counts.note(.linkLost)
                endAttempt(counter, place, into: &directives)
            }
            if requests[counter]?.running.isEmpty == true { enqueueFirst(counter) }
            hit.insert(request.manifest)
        }
        return hit.sorted()
    }

    // MARK: Query of death

    /// A node tells that an earlier run of it crashed while it executed for one of our requests.
    mutating func onCrashed(
        _ request: RequestID, in lost: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        guard request.entry == me, requests[request.counter] != nil else { return }
        noteDeath(request.counter, of: lost, now: now, into: &directives)
    }

    /// A run of a node ended while it executed for a request; the second one ends the request.
    ///
    /// One node that is lost twice, by a bad link, is still one node.
    private mutating func noteDeath(
        _ counter: UInt64, of lost: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        guard let request = requests[counter], !request.deaths.contains(lost) else { return }
        requests[counter]?.deaths.append(lost)
        guard request.deaths.count + 1 >= limits.deaths else { return }
        directives.append(
            .reject(
                request.client,
                .refused(
                    reason: "two nodes died while they executed this request; it is not tried a "
                        + "third time")))
        directives.append(.report(.refused(request.manifest, deaths: request.deaths + [lost])))
        // Only now is it worth to know what exactly it was. The shell takes the bytes at once.
        refusedInputs.expect(request.client, of: request.manifest)
        directives.append(.digest(request.client, inputs: request.inputs.map(\.id)))
        finish(counter, into: &directives)
    }

    /// What the digest of a request's inputs is.
    ///
    /// Gives the digest to refuse everywhere, if the request was the one that killed.
    mutating func onDigest(
        _ client: ClientID, _ digest: InputDigest, now: Timestamp,
        into directives: inout [Directive]
    ) -> ManifestID? {
        if let manifest = refusedInputs.takeExpected(client) {
            refusedInputs.refuse(digest, of: manifest, for: RefusedInputs.span, now: now)
            return manifest
        }
        guard let counter = clients[client], let request = requests[counter],
            request.awaitsDigest
        else { return nil }
        requests[counter]?.awaitsDigest = false
        if refusedInputs.refuses(digest, of: request.manifest, now: now) {
            directives.append(
                .reject(
                    request.client,
                    .refused(
                        reason: "two nodes died while they executed a request with the same "
                            + "inputs; it is tried again in some minutes at the earliest")))
            finish(counter, into: &directives)
        } else {
            queues[request.manifest, default: []].append(counter)
        }
        return nil
    }
}
