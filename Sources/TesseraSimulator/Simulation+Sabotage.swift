import TesseraCore

// What an agent with a planted bug would do, made of messages and directives.

extension Simulation {
    /// What a planted bug remembers.
    struct Tampering {
        var isOn = false
        fileprivate var lastAttempt: AttemptID?
        fileprivate var firstAttempts: [AttemptKey: AttemptID] = [:]
        fileprivate var lastViews: [Int: [NodeBoot]] = [:]
    }

    fileprivate struct AttemptKey: Hashable {
        var run: Int
        var request: RequestID
    }

    /// Plants what cannot be told at the boundary, in debug builds only.
    func plant(_ node: SimulatedNode) {
        #if DEBUG
        guard sabotage == .epochWithoutProposer else { return }
        node.agent?.plantProposer(
            NodeBoot(node: NodeID(1, 0, 0, 0), boot: Boot(counter: 1, random: 1)))
        #endif
    }

    /// A slice as it is sent.
    func tamper(_ header: SliceHeader) -> SliceHeader {
        guard sabotage == .swapsAttempts else { return header }
        defer { tampering.lastAttempt = header.attempt }
        guard let last = tampering.lastAttempt, last != header.attempt,
            last.plan == header.attempt.plan
        else { return header }
        var header = header
        header.attempt = last
        return header
    }

    /// An event as it comes to a node.
    func tamper(_ event: Event, _ node: SimulatedNode) -> Event {
        switch (sabotage, event) {
        case (.joinsWithoutPlan, .sliceArrived(let header, let payload, let sender)):
            return .sliceArrived(joined(header, node), payload, from: sender)
        case (.joinsWithoutPlan, .received(.request(.cancel), _)):
            return .discovered(node.address)
        case (.votesAcrossBoots, .received(.agreement(let message), let sender)):
            return acrossBoots(message, from: sender, node)
        case (
            .doubtsDecisions,
            .received(.agreement(.decided(let manifest, let ballot, let bundle, true)), let sender)
        ):
            return .received(
                .agreement(
                    .decided(manifest: manifest, ballot: ballot, bundle: bundle, isFresh: false)),
                from: sender)
        case (.revivesTheDead, .received(.membership(.sync(let rumours, let isReply)), let sender)):
            let alive = rumours.map { rumour in
                var rumour = rumour
                if rumour.status == .dead {
                    rumour.status = .alive
                    rumour.incarnation += 1
                }
                return rumour
            }
            return .received(.membership(.sync(rumours: alive, isReply: isReply)), from: sender)
        default: return event
        }
    }

    /// What agreement hears that takes any run of a node for the node.
    private func acrossBoots(
        _ message: AgreementMessage, from sender: NodeBoot, _ node: SimulatedNode
    ) -> Event {
        func mine(_ view: [NodeBoot]) -> [NodeBoot] {
            view.map { $0.node == node.member.node ? node.member : $0 }
        }
        /// The run that this node's round asked.
        func asked(_ manifest: ManifestID) -> NodeBoot {
            let view = node.agent?.inspect { $0.agreementSight(manifest)?.view } ?? nil
            return view?.first { $0.node == sender.node } ?? sender
        }
        switch message {
        case .prepare(let manifest, let ballot, let view):
            return .received(
                .agreement(.prepare(manifest: manifest, ballot: ballot, view: mine(view))),
                from: sender)
        case .accept(let manifest, let ballot, let bundle, let view):
            return .received(
                .agreement(
                    .accept(
                        manifest: manifest, ballot: ballot, bundle: bundle, view: mine(view))),
                from: sender)
        case .promise(let manifest, _, _, _), .accepted(let manifest, _):
            return .received(.agreement(message), from: asked(manifest))
        default: return .received(.agreement(message), from: sender)
        }
    }

    /// Whom a message reaches in an agent that takes any run of a node for the node.
    func receiver(of message: Message, to target: NodeBoot) -> NodeBoot {
        guard sabotage == .votesAcrossBoots, case .agreement = message,
            let node = nodes.first(where: { $0.agent != nil && $0.member.node == target.node })
        else { return target }
        return node.member
    }

    /// The same tensor for the same fragment under the first attempt of the request.
    private func joined(_ header: SliceHeader, _ node: SimulatedNode) -> SliceHeader {
        guard header.attempt.request.entry != node.member else { return header }
        let key = AttemptKey(run: node.run, request: header.attempt.request)
        guard let first = tampering.firstAttempts[key] else {
            tampering.firstAttempts[key] = header.attempt
            return header
        }
        let held = node.agent?.heldPlans ?? []
        guard first != header.attempt, let old = held.first(where: { $0.id == first.plan })?.plan,
            let new = held.first(where: { $0.id == header.attempt.plan })?.plan,
            let route = old.routes.firstIndex(where: { route in
                guard case .fragment(let reader) = route.destination else { return false }
                return route.tensor == new.routes[header.route].tensor
                    && old.fragments[reader].host == node.member
            })
        else { return header }
        var header = header
        header.attempt = first
        header.route = route
        return header
    }

    /// Directives as they leave a node.
    func tamper(
        _ directives: inout [Directive], after event: Event, _ node: SimulatedNode
    ) {
        switch sabotage {
        case .forgetsPromises:
            forgetPromises(&directives, after: event, node)
        case .acceptsBeforeReady:
            for case .send(.agreement(.stage(let manifest, let ballot, let bundle)), let host)
                in directives
            {
                queue.insert(
                    .event(
                        .received(
                            .agreement(
                                .ready(
                                    manifest: manifest, ballot: ballot, plan: bundle.primary.id)),
                            from: host), run: node.run), at: now)
            }
        case .dropsWithoutGone:
            directives.removeAll {
                if case .send(.request(.failed(_, _, .gone)), _) = $0 { true } else { false }
            }
        case .creditPerRoute:
            directives = directives.map { directive in
                guard case .send(.request(.tickets(let plan, let numbers)), let entry) = directive
                else { return directive }
                // Every second route brings as many again.
                let more = (1...8).flatMap { route in numbers.map { $0 + UInt64(route) << 40 } }
                return .send(.request(.tickets(plan: plan, numbers: numbers + more)), to: entry)
            }
        default: break
        }
    }

    private func forgetPromises(
        _ directives: inout [Directive], after event: Event, _ node: SimulatedNode
    ) {
        guard case .received(.agreement(.prepare(let manifest, let ballot, let view)), _) = event
        else { return }
        defer { tampering.lastViews[node.run] = view }
        guard tampering.lastViews[node.run] != view else { return }
        directives = directives.map { directive in
            guard case .send(.agreement(.refuse(_, _, .promisedHigher)), let proposer) = directive
            else { return directive }
            return .send(
                .agreement(
                    .promise(manifest: manifest, ballot: ballot, accepted: nil, current: nil)),
                to: proposer)
        }
    }
}
