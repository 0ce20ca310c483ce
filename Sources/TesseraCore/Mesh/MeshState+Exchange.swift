// What nodes tell each other of records and names, so that all hold the newest ones.

extension MeshState {
    /// Asks a peer for what is lacking here: in a large mesh by folds first.
    func ask(_ peer: NodeBoot, into directives: inout [Directive]) {
        guard entries.count >= MembershipLimits.comparedMin else {
            return sendDigest(to: peer, isReply: false, into: &directives)
        }
        let folds = folds(TableFolds.count(for: entries.count + 1))
        directives.append(
            .send(
                .mesh(.compare(records: folds.values, catalogue: catalogueFold)), to: peer))
    }

    func folds(_ count: Int) -> TableFolds {
        var folds = TableFolds(count: count)
        for index in entries.indices {
            let version = entries[index].version
            folds.add(version.member, version.version)
        }
        if let own = signedOwn?.record { folds.add(own.member, own.version) }
        return folds
    }

    /// Version and author tell entries of one name apart.
    var catalogueFold: UInt64 {
        var folds = TableFolds(count: 1)
        for entry in catalogue.entries {
            let author = NodeBoot(
                node: entry.author, boot: Boot(counter: entry.version, random: 0))
            // The name, without a hash that differs from process to process.
            let name = entry.name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
                ($0 ^ UInt64($1)) &* 0x100_0000_01b3
            }
            folds.add(author, name)
        }
        return folds.values[0]
    }

    /// Says what is held here, of all members or of some ranges of them.
    func sendDigest(
        of scope: DigestScope? = nil, to peer: NodeBoot, isReply: Bool,
        into directives: inout [Directive]
    ) {
        guard let scope else {
            directives.append(
                .send(
                    .mesh(
                        .digest(
                            records: versions, catalogue: catalogue.entries, isReply: isReply)),
                    to: peer))
            return
        }
        directives.append(
            .send(
                .mesh(
                    .difference(
                        scope: scope, records: versions.filter { scope.contains($0.member.node) },
                        catalogue: scope.hasCatalogue ? catalogue.entries : [],
                        isReply: isReply)), to: peer))
    }

    /// What is held here, ascending by member.
    var versions: [RecordVersion] {
        var held = entries.indices.map { entries[$0].version }
        if let own = signedOwn.map({ Self.version(of: $0.record) }) {
            held.insert(
                own, at: held.firstIndex { $0.member.node > own.member.node } ?? held.count)
        }
        return held
    }

    /// Sends what the peer lacks, and asks for what is lacking here.
    mutating func answer(
        _ theirs: [RecordVersion], winners: [CatalogueEntry], theirs theirNames: [CatalogueEntry],
        in scope: DigestScope? = nil, to peer: NodeBoot, isReply: Bool,
        into directives: inout [Directive]
    ) {
        var newest: [NodeID: RecordVersion] = [:]
        for version in theirs.prefix(Limits.records + 1) { newest[version.member.node] = version }
        var isLacking = false
        for version in theirs.prefix(Limits.records + 1)
        where version.member.node != own.member.node {
            let place = insertionIndex(of: version.member.node)
            let isHeld =
                place < entries.count && entries[place].version.member.node == version.member.node
            if !isHeld || Self.isNewer(version, than: entries[place].version) { isLacking = true }
        }
        func isNews(_ version: RecordVersion) -> Bool {
            guard scope?.contains(version.member.node) ?? true else { return false }
            return newest[version.member.node].map { Self.isNewer(version, than: $0) } ?? true
        }
        var news = entries.indices.filter { isNews(entries[$0].version) }.map {
            entries[$0].signed
        }
        if let record = signedOwn, isNews(Self.version(of: record.record)) { news.append(record) }
        var names = winners
        if scope?.hasCatalogue ?? true {
            let told = Set(theirNames.map(\.name))
            names += catalogue.entries.filter { !told.contains($0.name) }
        }
        for start in stride(from: 0, to: max(news.count, 1), by: Limits.recordsPerUpdate) {
            let part = Array(news[start..<min(start + Limits.recordsPerUpdate, news.count)])
            let entries = start == 0 ? names : []
            if part.isEmpty, entries.isEmpty { continue }
            directives.append(
                .send(.mesh(.update(records: part, catalogue: entries)), to: peer))
        }
        if isLacking, !isReply {
            sendDigest(of: scope, to: peer, isReply: true, into: &directives)
        }
    }

    /// In a mesh where an owner is connected with few, those who hear of its record tell others.
    mutating func passOn(
        _ news: [SignedRecord], _ names: [CatalogueEntry], from peer: NodeBoot,
        into directives: inout [Directive]
    ) {
        // More than a few are what this node missed, and no news to others.
        guard news.count + names.count > 0, news.count + names.count <= Limits.newsPassedOn,
            peers.count * 2 < entries.count, entries.count >= MembershipLimits.comparedMin
        else { return }
        var receivers = peers.filter { receiver in
            receiver != peer && !news.contains { $0.record.member == receiver }
        }
        generator.shuffle(&receivers)
        for receiver in receivers.prefix(Limits.receiversOfNews) {
            directives.append(.send(.mesh(.update(records: news, catalogue: names)), to: receiver))
        }
    }
}
