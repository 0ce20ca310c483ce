// Exchanging what is known in large meshes: by folds first, so that equal tables cost next to nothing.

extension Membership {
    /// Whether so many nodes are known that whole tables are too dear to exchange every time.
    var comparesFolds: Bool { others.count >= MembershipLimits.comparedMin }

    /// What is known, folded into so many ranges.
    ///
    /// A suspicion counts as being alive: it ends soon either way, and is told by itself.
    private func folds(_ count: Int) -> TableFolds {
        var folds = TableFolds(count: count)
        folds.add(me, incarnation << 2)
        for index in others.indices {
            let isPresent = others[index].isPresent
            folds.add(others[index].member, others[index].incarnation << 2 | (isPresent ? 0 : 1))
        }
        return folds
    }

    /// Asks a peer whether it knows the same.
    func compare(
        with peer: NodeBoot, isReply: Bool, count: Int? = nil, into directives: inout [Directive]
    ) {
        let folds = folds(count ?? TableFolds.count(for: others.count + 1))
        directives.append(
            .send(.membership(.compare(folds: folds.values, isReply: isReply)), to: peer))
    }

    /// A peer's folds: it is told what is known of the ranges that differ, and asked for the same.
    func onCompare(
        _ theirs: [UInt64], isReply: Bool, from peer: NodeBoot, into directives: inout [Directive]
    ) {
        guard TableFolds.isLegal(count: theirs.count) else { return }
        let differs = folds(theirs.count).differing(from: theirs)
        guard differs.contains(true) else { return }
        let rumours = allRumours.filter {
            differs[TableFolds.range(of: $0.member.node, count: theirs.count)]
        }
        if !rumours.isEmpty {
            directives.append(.send(.membership(.sync(rumours: rumours, isReply: true)), to: peer))
        }
        if !isReply {
            compare(with: peer, isReply: true, count: theirs.count, into: &directives)
        }
    }
}
