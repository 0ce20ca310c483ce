// What runs of nodes that ended in the middle of the engine's work mean for requests and plans.

extension Agent {
    /// The shell found what the process before this one was doing when it ended.
    mutating func onCrashesFound(_ marks: [CrashMark], into directives: inout [Directive]) {
        crashes = marks
        for mark in marks {
            directives.append(.report(.crashed(mark)))
            // A process that was killed from outside proves nothing against what it compiled.
            if case .compiling(let key) = mark.work, mark.signal != nil { host.onCrashed(key) }
        }
    }

    /// A peer that connected is told of the requests of its own under which this node crashed, and
    /// of the inputs that nobody shall run.
    func tellCrashes(to peer: NodeBoot, now: Timestamp, into directives: inout [Directive]) {
        for mark in crashes where mark.signal != nil {
            guard case .running(_, let request) = mark.work, request.entry == peer else { continue }
            directives.append(
                .send(.request(.crashed(request: request, host: mark.member)), to: peer))
        }
        for entry in requests.refusedInputs.entries where entry.until > now {
            directives.append(
                .send(
                    .request(
                        .refuse(
                            manifest: entry.manifest, digest: entry.digest,
                            remaining: entry.until - now)), to: peer))
        }
    }

    /// The shell hashed a request's inputs.
    mutating func onDigested(
        _ client: ClientID, _ digest: InputDigest, now: Timestamp,
        into directives: inout [Directive]
    ) {
        if let manifest = requests.onDigest(client, digest, now: now, into: &directives) {
            for member in connectedMembers {
                directives.append(
                    .send(
                        .request(
                            .refuse(
                                manifest: manifest, digest: digest, remaining: RefusedInputs.span)),
                        to: member))
            }
        }
        for manifest in requests.manifests { advance(manifest, now: now, into: &directives) }
    }
}
