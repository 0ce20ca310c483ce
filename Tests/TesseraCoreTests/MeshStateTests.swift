import Testing

@testable import TesseraCore

private func member(_ number: UInt64, run: UInt64 = 1) -> NodeBoot {
    NodeBoot(node: NodeID(number << 40, 0, 0, 0), boot: Boot(counter: run, random: 0))
}

private func record(
    _ member: NodeBoot, version: UInt64 = 1, name: String = "", links: [LinkMeasurement] = []
) -> NodeRecord {
    NodeRecord(
        member: member, version: version, name: name, addresses: [], capability: nil,
        holdings: [], plans: [], links: links, times: [], isLeaving: false)
}

private func signed(_ record: NodeRecord) -> SignedRecord {
    SignedRecord(record: record, publicKey: [1], signature: [2])
}

private func entry(
    _ name: String, _ manifest: UInt64?, version: UInt64, author: UInt64 = 1
) -> CatalogueEntry {
    CatalogueEntry(
        name: name, manifest: manifest.map { ManifestID($0, 0, 0, 0) }, version: version,
        author: member(author).node)
}

/// One mesh state whose world is the test; its records are signed at once unless told otherwise.
private struct Bench {
    var state: MeshState
    var now = Timestamp.zero
    var out: [Directive] = []
    var signs = true

    init(_ number: UInt64 = 50, start: Bool = true) {
        state = MeshState(
            own: record(member(number), version: 0), generator: SeededGenerator(seed: number))
        if start {
            state.onStart(now: now, into: &out)
            sign()
        }
    }

    mutating func sign() {
        for directive in out {
            if case .sign(let record) = directive {
                state.onSigned(signed(record), now: now, into: &out)
            }
        }
        out.removeAll { if case .sign = $0 { true } else { false } }
    }

    mutating func update(_ change: (inout NodeRecord) -> Void) {
        state.updateOwn(now: now, into: &out, change)
    }

    mutating func name(_ name: String, _ manifest: UInt64) throws {
        try state.name(name, manifest: ManifestID(manifest, 0, 0, 0), now: now, into: &out)
    }

    mutating func connect(_ peers: NodeBoot...) {
        for peer in peers { state.onConnected(peer, now: now, into: &out) }
    }

    mutating func receive(_ message: MeshMessage, from peer: NodeBoot) {
        state.onReceived(message, from: peer, now: now, into: &out)
    }

    mutating func wait(_ milliseconds: Int64) {
        let end = now + .milliseconds(milliseconds)
        while state.nextWake <= end {
            now = max(now, state.nextWake)
            state.onWake(now: now, into: &out)
            if signs { sign() }
        }
        now = end
    }

    mutating func take() -> [Directive] {
        defer { out = [] }
        return out
    }
}

private func updates(_ directives: [Directive]) -> [(NodeBoot, [NodeRecord], [CatalogueEntry])] {
    directives.compactMap {
        if case .send(.mesh(.update(let records, let entries)), let peer) = $0 {
            (peer, records.map(\.record), entries)
        } else {
            nil
        }
    }
}

private func digestCount(_ directives: [Directive]) -> Int {
    directives.count { if case .send(.mesh(.digest), _) = $0 { true } else { false } }
}

@Suite struct MeshStateTests {
    @Test("the first record is signed at start, and a peer gets it on connecting")
    func start() {
        var bench = Bench(start: false)
        bench.state.onStart(now: bench.now, into: &bench.out)
        #expect(bench.out == [.sign(record(member(50), version: 1))])
        bench.sign()
        #expect(bench.state.takeChanges() == [.recordChanged(member(50).node)])
        bench.connect(member(1))
        let directives = bench.take()
        #expect(updates(directives).map(\.1) == [[record(member(50), version: 1)]])
        #expect(digestCount(directives) == 1)
    }

    @Test("structural changes of 5 ms go out as one record, to everybody")
    func coalescing() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        bench.wait(100)
        _ = bench.take()
        for name in ["a", "b", "c"] {
            bench.state.updateOwn(now: bench.now, into: &bench.out) { $0.name = name }
            bench.wait(1)
        }
        #expect(bench.take() == [])
        bench.wait(2)
        let sent = updates(bench.take())
        #expect(sent.map(\.0) == [member(1), member(2)])
        #expect(sent.allSatisfy { $0.1 == [record(member(50), version: 2, name: "c")] })
        bench.state.updateOwn(now: bench.now, into: &bench.out) { $0.name = "c" }
        bench.wait(100)
        #expect(updates(bench.take()).isEmpty)
    }

    @Test("measurements go out every 5 s at most")
    func measurements() {
        var bench = Bench()
        bench.connect(member(1))
        _ = bench.take()
        for round in 0..<200 {
            bench.state.updateOwn(now: bench.now, into: &bench.out) {
                $0.links = [
                    LinkMeasurement(
                        peer: member(1).node, bytesPerSecond: UInt64(round),
                        roundTripMicroseconds: 1)
                ]
            }
            bench.wait(100)
        }
        // A first rate is news, and waits for a second after the record before it: at 1, 6, 11 and
        // 16 s.
        #expect(updates(bench.take()).count == 4)
    }

    @Test("measurements that moved too little to change a plan go out once a minute")
    func drift() {
        var bench = Bench()
        bench.connect(member(1))
        let key = FragmentKey(manifest: ManifestID(1, 0, 0, 0), operators: 0..<4)
        for round in 0..<600 {
            bench.state.updateOwn(now: bench.now, into: &bench.out) {
                $0.times = [
                    FragmentTime(key: key, microseconds: round % 2 == 0 ? 1_000 : 1_080)
                ]
            }
            bench.wait(100)
            if round == 100 { _ = bench.take() }
        }
        // The first one went out after 5 s.
        #expect(updates(bench.take()).isEmpty)
        bench.wait(10_000)
        #expect(updates(bench.take()).count == 1)
    }

    @Test("a time that leaps again and again is told once a second at most")
    func news() {
        var bench = Bench()
        bench.connect(member(1))
        _ = bench.take()
        let key = FragmentKey(manifest: ManifestID(1, 0, 0, 0), operators: 0..<4)
        for round in 0..<100 {
            bench.state.updateOwn(now: bench.now, into: &bench.out) {
                $0.times = [
                    FragmentTime(key: key, microseconds: round % 2 == 0 ? 1_000 : 2_000)
                ]
            }
            bench.wait(100)
        }
        let count = updates(bench.take()).count
        #expect((9...10).contains(count))
    }

    @Test("a shell that does not sign is asked again, and never for two records at once")
    func slowSigning() {
        var bench = Bench()
        bench.connect(member(1))
        bench.signs = false
        _ = bench.take()
        for _ in 0..<10 {
            bench.state.updateOwn(now: bench.now, into: &bench.out) { $0.name += "x" }
            bench.wait(50)
        }
        let asked = { (directives: [Directive]) in
            directives.count { if case .sign = $0 { true } else { false } }
        }
        #expect(asked(bench.take()) == 1)
        bench.wait(700)
        #expect(asked(bench.take()) == 1)
    }

    @Test("only a newer version or a newer run replaces a record, and never our own")
    func newest() {
        var bench = Bench()
        let said = [
            record(member(1), version: 3, name: "three"),
            record(member(1), version: 2, name: "two"),
            record(member(1, run: 2), version: 1, name: "new"),
            record(member(1), version: 9, name: "nine"),
            record(member(50, run: 9), version: 9, name: "forged"),
        ]
        for record in said {
            bench.receive(.update(records: [signed(record)], catalogue: []), from: member(1))
        }
        #expect(bench.state.record(of: member(1).node)?.name == "new")
        #expect(bench.state.record(of: member(1)) == nil)
        #expect(bench.state.record(of: member(50).node)?.name == "")
        #expect(
            bench.state.takeChanges().dropFirst() == [
                .recordChanged(member(1).node), .recordChanged(member(1).node),
            ])
    }

    @Test("the records of the dead stay but are not live, until they return")
    func gone() {
        var bench = Bench()
        bench.receive(.update(records: [signed(record(member(1)))], catalogue: []), from: member(1))
        bench.state.onGone(member(1))
        #expect(bench.state.liveRecords.map(\.member) == [member(50)])
        #expect(bench.state.record(of: member(1)) != nil)
        bench.state.onAlive(member(1))
        #expect(bench.state.liveRecords.map(\.member) == [member(1), member(50)])
        bench.state.onGone(member(1))
        bench.receive(
            .update(records: [signed(record(member(1, run: 2)))], catalogue: []), from: member(1))
        #expect(bench.state.liveRecords.map(\.member) == [member(1, run: 2), member(50)])
    }

    @Test("a digest is answered with what the peer lacks, and with a digest if we lack something")
    func digest() {
        var bench = Bench()
        for number in UInt64(1)...20 {
            bench.receive(
                .update(records: [signed(record(member(number), version: 5))], catalogue: []),
                from: member(number))
        }
        bench.connect(member(1))
        _ = bench.take()
        let held = [
            RecordVersion(member: member(3), version: 5),
            RecordVersion(member: member(4), version: 6),
        ]
        bench.receive(.digest(records: held, catalogue: [], isReply: false), from: member(1))
        let directives = bench.take()
        let sent = updates(directives)
        #expect(sent.map(\.1.count) == [16, 3])
        #expect(!sent.flatMap(\.1).contains { [member(3), member(4)].contains($0.member) })
        #expect(digestCount(directives) == 1)
        bench.receive(.digest(records: held, catalogue: [], isReply: true), from: member(1))
        #expect(digestCount(bench.take()) == 0)
    }

    @Test("of many records, two nodes speak only of the ranges in which they differ")
    func difference() throws {
        var left = Bench(1)
        var right = Bench(2)
        func owner(_ number: UInt64) -> NodeBoot {
            NodeBoot(node: NodeID(number << 32, 0, 0, 0), boot: Boot(counter: 1, random: 0))
        }
        for number in UInt64(1_000)...1_100 {
            let held = signed(record(owner(number), version: 5))
            left.receive(.update(records: [held], catalogue: []), from: owner(number))
            right.receive(.update(records: [held], catalogue: []), from: owner(number))
        }
        let news = signed(record(owner(1_050), version: 6))
        right.receive(.update(records: [news], catalogue: []), from: owner(1_050))
        left.connect(member(2))
        right.connect(member(1))
        for directive in left.take() {
            if case .send(.mesh(let message), _) = directive {
                right.receive(message, from: member(1))
            }
        }
        for directive in right.take() {
            if case .send(.mesh(let message), _) = directive {
                left.receive(message, from: member(2))
            }
        }
        _ = left.take()
        left.wait(2_000)
        let asked = left.take().compactMap { directive in
            if case .send(.mesh(let message), _) = directive { message } else { nil }
        }
        for message in asked { right.receive(message, from: member(1)) }
        let answers = right.take().compactMap { directive in
            if case .send(.mesh(let message), _) = directive { message } else { nil }
        }
        guard case .difference(let scope, let versions, _, false) = try #require(answers.first)
        else {
            Issue.record("\(answers)")
            return
        }
        #expect(scope.ranges.count == 1 && !scope.hasCatalogue)
        #expect(versions.count < 20)
        left.receive(answers[0], from: member(2))
        for directive in left.take() {
            if case .send(.mesh(let message), _) = directive {
                right.receive(message, from: member(1))
            }
        }
        let sent = updates(right.take())
        #expect(sent.map(\.1) == [[record(owner(1_050), version: 6)]])
    }

    @Test("who is connected with few passes news on to three, and old news to nobody")
    func passingOn() {
        var bench = Bench()
        for number in UInt64(100)...160 {
            bench.receive(
                .update(records: [signed(record(member(number)))], catalogue: []),
                from: member(number))
        }
        bench.connect(member(1), member(2), member(3), member(4), member(5))
        _ = bench.take()
        let news = signed(record(member(120), version: 2))
        bench.receive(.update(records: [news], catalogue: []), from: member(3))
        let sent = updates(bench.take())
        #expect(sent.count == 3 && !sent.contains { $0.0 == member(3) })
        bench.receive(.update(records: [news], catalogue: []), from: member(4))
        #expect(bench.take().isEmpty)
    }

    @Test("records and names travel along a line of nodes that are not all connected")
    func line() throws {
        var benches = (1...5).map { Bench(UInt64($0)) }
        func deliver(_ benches: inout [Bench]) {
            var isQuiet = false
            while !isQuiet {
                isQuiet = true
                for index in benches.indices {
                    for directive in benches[index].take() {
                        guard case .send(.mesh(let message), let peer) = directive else { continue }
                        isQuiet = false
                        let other = Int(peer.node.words.0 >> 40) - 1
                        benches[other].receive(message, from: member(UInt64(index + 1)))
                    }
                }
            }
        }
        for index in 0..<4 {
            benches[index].connect(member(UInt64(index + 2)))
            benches[index + 1].connect(member(UInt64(index + 1)))
        }
        deliver(&benches)
        benches[0].update { $0.name = "far" }
        try benches[4].name("model", 7)
        for _ in 0..<300 {
            for index in benches.indices { benches[index].wait(100) }
            deliver(&benches)
        }
        for bench in benches {
            #expect(bench.state.record(of: member(1).node)?.name == "far")
            #expect(bench.state.liveRecords.count == 5)
            #expect(bench.state.catalogue.manifest(named: "model") == ManifestID(7, 0, 0, 0))
        }
    }

    @Test("a new name is stored and told to everybody at once")
    func naming() throws {
        var bench = Bench()
        bench.connect(member(1))
        _ = bench.take()
        try bench.state.name(
            "digits", manifest: ManifestID(7, 0, 0, 0), now: bench.now, into: &bench.out)
        let made = entry("digits", 7, version: 1, author: 50)
        #expect(
            bench.take() == [
                .storeCatalogue([made]),
                .send(.mesh(.update(records: [], catalogue: [made])), to: member(1)),
            ])
        #expect(bench.state.takeChanges().last == .catalogueChanged(made, loser: nil))
        #expect(throws: CatalogueError.invalidName("../x")) {
            try bench.state.name(
                "../x", manifest: ManifestID(7, 0, 0, 0), now: bench.now, into: &bench.out)
        }
    }
}

@Suite struct CatalogueTests {
    @Test("the highest (version, author) wins in every order of arrival")
    func everyOrder() {
        let said = [
            entry("m", 1, version: 1, author: 1), entry("m", 2, version: 2, author: 1),
            entry("m", 3, version: 2, author: 2), entry("m", nil, version: 1, author: 9),
        ]
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<50 {
            var order = said
            generator.shuffle(&order)
            var catalogue = Catalogue()
            for entry in order { _ = catalogue.merge(entry, now: .zero) }
            #expect(catalogue.entries == [entry("m", 3, version: 2, author: 2)])
        }
    }

    @Test("two entries of one version are a conflict that both sides see, once")
    func conflict() {
        let low = entry("m", 1, version: 4, author: 1)
        let high = entry("m", 2, version: 4, author: 2)
        var loser = Catalogue()
        #expect(loser.merge(low, now: .zero) == .changed(loser: nil))
        #expect(loser.merge(high, now: .zero) == .changed(loser: low))
        #expect(loser.merge(low, now: .zero) == .unchanged)
        var winner = Catalogue()
        #expect(winner.merge(high, now: .zero) == .changed(loser: nil))
        #expect(winner.merge(low, now: .zero) == .lost(to: high))
        #expect(winner.merge(low, now: .zero) == .unchanged)
    }

    @Test("a removed name stays removed for 30 days, then may be forgotten")
    func tombstones() throws {
        var catalogue = Catalogue()
        let made = try catalogue.name(
            "m", manifest: ManifestID(1, 0, 0, 0), author: member(1).node, now: .zero)
        let removed = try catalogue.name(
            "m", manifest: nil, author: member(1).node, now: .zero)
        #expect(catalogue.models.isEmpty)
        #expect(catalogue.merge(made, now: .zero) == .unchanged)
        #expect(removed.version == made.version + 1)
        #expect(throws: CatalogueError.unknownName("m")) {
            try catalogue.name("m", manifest: nil, author: member(1).node, now: .zero)
        }
        let days = Timestamp.zero + .seconds(30 * 86_400)
        let early = catalogue.prune(now: days - .seconds(1))
        let late = catalogue.prune(now: days)
        #expect(!early && late)
        #expect(catalogue.entries.isEmpty)
    }

    @Test("names are short and plain")
    func names() {
        for name in ["a", "ResNet-50", "digits_v1.2", String(repeating: "x", count: 128)] {
            #expect(Catalogue.isValid(name: name))
        }
        for name in [
            "", ".", "-a", "a b", "a/b", "ä", "a\n", String(repeating: "x", count: 129), "..",
        ] {
            #expect(!Catalogue.isValid(name: name), "\(name)")
        }
    }

    @Test("there is room for 512 names, and hostile entries find none")
    func limits() throws {
        var catalogue = Catalogue()
        for number in 0..<Catalogue.namesMax {
            _ = try catalogue.name(
                "m\(number)", manifest: ManifestID(1, 0, 0, 0), author: member(1).node, now: .zero)
        }
        #expect(throws: CatalogueError.tooManyNames(limit: Catalogue.namesMax)) {
            try catalogue.name(
                "more", manifest: ManifestID(1, 0, 0, 0), author: member(1).node, now: .zero)
        }
        #expect(catalogue.merge(entry("more", 1, version: 9_999), now: .zero) == .full)
        #expect(catalogue.merge(entry("m1", 1, version: .max), now: .zero) == .unchanged)
        #expect(catalogue.merge(entry("../m", 1, version: 5), now: .zero) == .unchanged)
    }

    @Test("gossiped names that find no room are told as a limit, once for an update")
    func limitTold() throws {
        var bench = Bench()
        bench.connect(member(1))
        for number in 0..<Catalogue.namesMax { try bench.name("m\(number)", 1) }
        _ = bench.take()
        let told = [entry("more", 1, version: 9_999), entry("and more", 1, version: 9_998)]
        bench.receive(
            .update(records: [], catalogue: told + [entry("n", 1, version: 1)]), from: member(1))
        let limits = bench.take().compactMap {
            if case .report(.limit(let what, let count)) = $0 { "\(what): \(count)" } else { nil }
        }
        #expect(limits == ["names of models: 2"])
    }
}
