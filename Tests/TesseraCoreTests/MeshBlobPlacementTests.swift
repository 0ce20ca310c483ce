import Testing

@testable import TesseraCore

private func member(_ number: UInt64, run: UInt64 = 1) -> NodeBoot {
    NodeBoot(node: NodeID(number << 40, 0, 0, 0), boot: Boot(counter: run, random: 0))
}

private func manifest(_ number: UInt64) -> ManifestID { ManifestID(number, 1, 0, 0) }

private func blob(_ number: UInt64) -> BlobID { BlobID(number, 2, 0, 0) }

/// A model whose blobs have these numbers and 100 bytes each.
private func outline(_ number: UInt64, blobs: [UInt64]) -> ModelOutline {
    ModelOutline(
        manifest: manifest(number), operators: [], tensors: [], inputs: [], outputs: [],
        blobs: blobs.map { ModelOutline.Blob(id: blob($0), byteCount: 100) })
}

private func holding(_ number: UInt64, _ places: [Int]) -> Holding {
    var holding = Holding(manifest: manifest(number), blobs: [])
    for place in places { holding.insert(place) }
    return holding
}

private struct Bench {
    var placement: BlobPlacement
    var now = Timestamp.zero
    var out: [Directive] = []

    init(_ number: UInt64 = 50, disk: Int? = 1_000_000) {
        placement = BlobPlacement(me: member(number), generator: SeededGenerator(seed: number))
        if let disk { placement.onDiskBudget(disk, now: now, into: &out) }
    }

    mutating func name(_ numbers: UInt64..., author: UInt64 = 1) {
        let entries = numbers.map {
            CatalogueEntry(
                name: "m\($0)", manifest: manifest($0), version: 1, author: member(author).node)
        }
        placement.onCatalogue(entries, now: now, into: &out)
    }

    mutating func store(_ outline: ModelOutline, _ places: [Int] = []) {
        placement.onManifestStored(outline, blobs: places, now: now, into: &out)
    }

    mutating func reach(_ number: UInt64) {
        placement.onReachable(member(number), true, now: now, into: &out)
    }

    mutating func peer(_ number: UInt64, _ holdings: Holding...) { peer(number, holdings) }

    mutating func peer(_ number: UInt64, _ holdings: [Holding]) {
        placement.onReachable(member(number), true, now: now, into: &out)
        placement.onHoldings(holdings, of: member(number), now: now, into: &out)
    }

    mutating func stored(_ number: UInt64) {
        placement.onBlobStored(blob(number), now: now, into: &out)
    }

    mutating func fail(_ number: UInt64, from source: UInt64) {
        placement.onFetchFailed(
            blob(number), from: member(source).node, reason: "test", now: now, into: &out)
    }

    mutating func need(
        _ number: UInt64, _ places: [Int], _ urgency: BlobPlacement.Urgency = .staging
    ) -> NeedID {
        placement.need(
            manifest(number), blobs: places, urgency: urgency, now: now, into: &out)
    }

    mutating func wait(_ milliseconds: Int64) {
        let end = now + .milliseconds(milliseconds)
        while placement.nextWake <= end {
            now = max(now, placement.nextWake)
            placement.onWake(now: now, into: &out)
        }
        now = end
    }

    mutating func take() -> [Directive] {
        defer { out = [] }
        return out
    }

    mutating func fetches() -> [(BlobID, NodeBoot)] {
        take().compactMap {
            if case .fetch(let blob, _, let peer) = $0 { (blob, peer) } else { nil }
        }
    }

    mutating func changes() -> [BlobPlacement.Change] { placement.takeChanges() }
}

@Suite struct MeshBlobPlacementTests {
    @Test("a named model's manifest comes from its author until a record says who has it")
    func manifests() {
        var bench = Bench()
        bench.placement.onReachable(member(2), true, now: bench.now, into: &bench.out)
        bench.placement.onReachable(member(1), true, now: bench.now, into: &bench.out)
        bench.name(7)
        #expect(
            bench.take() == [
                .fetch(BlobID(manifest: manifest(7)), isManifest: true, from: member(1))
            ])
        bench.store(outline(7, blobs: [1]))
        #expect(bench.changes() == [.manifestReady(manifest(7)), .holdingsChanged])
        #expect(bench.placement.outline(of: manifest(7)) != nil)
        #expect(bench.placement.holdings == [Holding(manifest: manifest(7), blobs: [0])])
    }

    @Test("in the background the rarest blobs come first, three at once")
    func rarestFirst() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1, 2, 3, 4, 5]))
        bench.peer(1, holding(7, [0, 1, 2, 3, 4]))
        bench.peer(2, holding(7, [0, 1, 2]))
        bench.peer(3, holding(7, [0]))
        #expect(bench.fetches().isEmpty)
        bench.name(7)
        let first = bench.fetches()
        #expect(Set(first.prefix(2).map(\.0)) == [blob(4), blob(5)])
        #expect(first.count == 3)
        #expect([blob(2), blob(3)].contains(first[2].0))
        #expect(first[2].1 == member(2))
        bench.stored(4)
        #expect(bench.fetches().count == 1)
    }

    @Test("all blobs arriving makes the model ready, and the record changes now and then only")
    func completion() {
        var bench = Bench()
        let blobs = (0..<100).map { UInt64($0) }
        bench.store(outline(7, blobs: blobs))
        bench.name(7)
        bench.peer(1, holding(7, Array(0..<100)))
        _ = bench.changes()
        for number in blobs {
            bench.wait(10)
            bench.stored(number)
        }
        let changes = bench.changes()
        #expect(changes.count { $0 == .blobsReady(manifest(7)) } == 1)
        #expect((4...7).contains(changes.count { $0 == .holdingsChanged }))
        #expect(changes.last == .holdingsChanged)
        #expect(bench.placement.missing(manifest(7), Array(0..<100)).isEmpty)
        #expect(bench.placement.replication(manifest(7)) == 2)
    }

    @Test("a need goes before the background and always finds a place")
    func needFirst() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1, 2, 3, 4, 5]))
        bench.store(outline(8, blobs: [11, 12]))
        bench.name(7, 8)
        bench.peer(1, holding(7, [0, 1, 2, 3, 4]))
        #expect(bench.fetches().count == 3)
        bench.peer(2, holding(8, [0, 1]))
        let need = bench.need(8, [0, 1])
        #expect(bench.fetches().map(\.0) == [blob(11)])
        bench.stored(11)
        #expect(bench.fetches().map(\.0) == [blob(12)])
        bench.stored(12)
        #expect(bench.changes().contains(.needSatisfied(need)))
    }

    @Test("a need for what is here is satisfied at once, also without blobs")
    func trivialNeed() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]), [0])
        let first = bench.need(7, [0])
        let second = bench.need(7, [])
        #expect(bench.changes().suffix(2) == [.needSatisfied(first), .needSatisfied(second)])
    }

    @Test("a need for a model that is not known fetches its manifest first")
    func needWithoutManifest() {
        var bench = Bench()
        bench.peer(1, holding(7, [0]))
        let need = bench.need(7, [0])
        #expect(bench.fetches().map(\.0) == [BlobID(manifest: manifest(7))])
        bench.store(outline(7, blobs: [1]))
        #expect(bench.fetches().map(\.0) == [blob(1)])
        bench.stored(1)
        #expect(bench.changes().contains(.needSatisfied(need)))
    }

    @Test("a need fails if for a second no reachable node has a blob")
    func needFails() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1, 2, 3]))
        bench.peer(1, holding(7, [0]))
        let need = bench.need(7, [0, 1, 2])
        bench.wait(999)
        let early = bench.changes()
        #expect(!early.contains { if case .needFailed = $0 { true } else { false } })
        bench.wait(1)
        #expect(bench.changes() == [.needFailed(need, missing: 2)])
        let other = bench.need(7, [0, 1])
        bench.wait(500)
        bench.peer(2, holding(7, [1]))
        bench.stored(1)
        bench.stored(2)
        #expect(bench.changes().contains(.needSatisfied(other)))
    }

    @Test("after a failure another holder is asked, and the one that failed only 5 s later")
    func failures() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]))
        bench.peer(1, holding(7, [0]))
        bench.peer(2, holding(7, [0]))
        _ = bench.need(7, [0])
        let first = bench.fetches()
        let source = first[0].1
        bench.fail(1, from: source.node.words.0 >> 40)
        #expect(bench.fetches().isEmpty)
        bench.wait(100)
        let second = bench.fetches()
        #expect(second.count == 1 && second[0].1 != source)
        bench.fail(1, from: second[0].1.node.words.0 >> 40)
        bench.wait(4_899)
        #expect(bench.fetches().isEmpty)
        bench.wait(1)
        #expect(bench.fetches().map(\.1) == [source])
    }

    @Test("a blob that fails six times fails the needs that want it")
    func hopeless() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]))
        bench.peer(1, holding(7, [0]))
        let need = bench.need(7, [0])
        for _ in 0..<6 {
            bench.wait(10_000)
            if !bench.fetches().isEmpty { bench.fail(1, from: 1) }
        }
        bench.wait(1_000)
        #expect(bench.changes().contains(.needFailed(need, missing: 1)))
    }

    @Test("blobs of dead nodes do not count and are not asked for")
    func goneSource() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1, 2]), [0])
        bench.peer(1, holding(7, [0, 1]))
        bench.peer(2, holding(7, [0, 1]))
        #expect(bench.placement.replication(manifest(7)) == 2)
        bench.placement.onGone(member(1), now: bench.now, into: &bench.out)
        #expect(bench.placement.replication(manifest(7)) == 1)
        bench.placement.onReachable(member(2), false, now: bench.now, into: &bench.out)
        bench.name(7)
        #expect(bench.fetches().isEmpty)
        bench.placement.onGone(member(2), now: bench.now, into: &bench.out)
        #expect(bench.placement.replication(manifest(7)) == 0)
        #expect(bench.placement.lost(manifest(7)) == [1])
    }

    @Test("what failed with a connection is asked for over the next one at once")
    func failedWithConnection() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]))
        bench.peer(1, holding(7, [0]))
        bench.name(7)
        #expect(bench.fetches().count == 1)
        bench.fail(1, from: 1)
        bench.placement.onReachable(member(1), false, now: bench.now, into: &bench.out)
        #expect(bench.fetches().isEmpty)
        bench.reach(1)
        #expect(bench.fetches().map(\.1) == [member(1)])
    }

    @Test("a newer run of a node starts with nothing")
    func newRun() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]))
        bench.peer(1, holding(7, [0]))
        bench.placement.onReachable(member(1, run: 2), true, now: bench.now, into: &bench.out)
        #expect(bench.placement.lost(manifest(7)) == [0])
        bench.placement.onGone(member(1), now: bench.now, into: &bench.out)
        #expect(bench.placement.peers.count == 1)
    }

    @Test("late news of an older run takes nothing from a newer one")
    func olderRun() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]))
        let newer = member(1, run: 2)
        bench.placement.onReachable(newer, true, now: bench.now, into: &bench.out)
        bench.placement.onHoldings([], of: member(1), now: bench.now, into: &bench.out)
        bench.placement.onReachable(member(1), false, now: bench.now, into: &bench.out)
        bench.placement.onHoldings([holding(7, [0])], of: newer, now: bench.now, into: &bench.out)
        bench.name(7)
        let fetches = bench.fetches()
        #expect(fetches.map(\.0) == [blob(1)])
        #expect(fetches.map(\.1) == [newer])
    }

    @Test("the background leaves a tenth of the disk, a need takes it, and beyond it fails")
    func quota() {
        var bench = Bench(disk: 1_000)
        bench.store(outline(7, blobs: (1...12).map { UInt64($0) }))
        bench.peer(1, holding(7, Array(0..<12)))
        bench.name(7)
        var count = 0
        while let next = bench.fetches().first {
            count += 1
            bench.stored(next.0.words.0)
            for pending in bench.placement.fetches where count < 100 {
                count += 1
                bench.stored(pending.blob.words.0)
            }
        }
        #expect(bench.placement.usedBytes == 900)
        let missing = bench.placement.missing(manifest(7), Array(0..<12))
        _ = bench.changes()
        let need = bench.need(7, Array(missing.prefix(1)))
        #expect(bench.fetches().count == 1)
        let tooMuch = bench.need(7, missing)
        #expect(bench.changes() == [.needFailed(tooMuch, missing: 3)])
        bench.placement.cancel(need)
    }

    @Test("for a need, a named model goes only if two others have all of it")
    func makingRoom() {
        for (holders, isThrownAway) in [(1, false), (2, true)] {
            var bench = Bench(disk: 1_000)
            bench.store(outline(7, blobs: (1...9).map { UInt64($0) }), Array(0..<9))
            bench.store(outline(8, blobs: [21, 22]))
            bench.name(7, 8)
            for number in 1...holders {
                bench.peer(UInt64(number), holding(7, Array(0..<9)), holding(8, [0, 1]))
            }
            _ = bench.take()
            let need = bench.need(8, [0, 1])
            #expect(bench.take().contains(.discard(manifest(7))) == isThrownAway)
            let failed = bench.changes().contains(.needFailed(need, missing: 2))
            #expect(failed != isThrownAway)
            // What had to go is not fetched again: only its manifest is.
            bench.store(outline(7, blobs: (1...9).map { UInt64($0) }))
            let fetched = bench.fetches()
            #expect(!fetched.contains { $0.0 == blob(1) })
        }
    }

    @Test("of models that may go for a need, the one that was not used for the longest time goes")
    func leastRecentlyUsed() {
        var bench = Bench(disk: 1_000)
        for number in 1...4 {
            bench.store(outline(UInt64(number), blobs: [UInt64(10 * number)]), [0])
            bench.wait(10)
        }
        bench.store(outline(9, blobs: (91...97).map { UInt64($0) }))
        bench.name(1, 2, 3, 4, 9)
        // The oldest was in use until now, and the third is in use.
        bench.placement.onInUse([manifest(1), manifest(3)], now: bench.now, into: &bench.out)
        bench.wait(10)
        bench.placement.onInUse([manifest(3)], now: bench.now, into: &bench.out)
        let all = (1...4).map { holding($0, [0]) } + [holding(9, Array(0..<7))]
        bench.peer(1, all)
        bench.peer(2, all)
        _ = bench.take()
        // 400 bytes of 1,000 are used; 700 are needed.
        _ = bench.need(9, Array(0..<7))
        #expect(discards(bench.take()) == [manifest(2)])
        bench.placement.onDiskBudget(850, now: bench.now, into: &bench.out)
        #expect(discards(bench.take()) == [manifest(4), manifest(1)])
        // What is in use stays, and so does the last copy but one.
        bench.placement.onDiskBudget(750, now: bench.now, into: &bench.out)
        #expect(discards(bench.take()) == [])
    }

    private func discards(_ directives: [Directive]) -> [ManifestID] {
        directives.compactMap { if case .discard(let manifest) = $0 { manifest } else { nil } }
    }

    @Test("a model without a name goes after a minute, but not while a plan uses it")
    func removal() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1]), [0])
        bench.store(outline(8, blobs: [1, 2]), [0, 1])
        bench.name(7, 8)
        bench.placement.onInUse([manifest(7)], now: bench.now, into: &bench.out)
        bench.name()
        bench.wait(59_999)
        #expect(bench.take() == [])
        bench.wait(1)
        #expect(bench.take() == [.discard(manifest(8))])
        #expect(bench.placement.usedBytes == 100)
        bench.placement.onInUse([], now: bench.now, into: &bench.out)
        #expect(bench.take() == [.discard(manifest(7))])
        #expect(bench.placement.usedBytes == 0)
        #expect(bench.placement.holdings == [])
    }

    @Test("a damaged blob is fetched again")
    func damaged() {
        var bench = Bench()
        bench.store(outline(7, blobs: [1, 2]), [0, 1])
        bench.name(7)
        bench.peer(1, holding(7, [0, 1]))
        bench.placement.onBlobLost(blob(2), now: bench.now, into: &bench.out)
        #expect(bench.fetches().map(\.0) == [blob(2)])
        #expect(bench.placement.missing(manifest(7), [0, 1]) == [1])
        bench.stored(2)
        #expect(bench.changes().suffix(2) == [.blobsReady(manifest(7)), .holdingsChanged])
    }

    @Test("every node ends up with every blob though only one had them", arguments: [2, 4, 9])
    func replication(count: Int) {
        var benches = (0..<count).map { Bench(UInt64($0 + 1)) }
        let model = outline(7, blobs: (1...70).map { UInt64($0) })
        benches[0].store(model, Array(0..<70))
        for index in benches.indices {
            for other in benches.indices where other != index {
                benches[index].reach(UInt64(other + 1))
            }
            benches[index].name(7)
        }
        var served = [Int](repeating: 0, count: count)
        for _ in 0..<1_000 {
            for index in benches.indices {
                benches[index].wait(20)
                for directive in benches[index].take() {
                    guard case .fetch(let wanted, let isManifest, let source) = directive else {
                        continue
                    }
                    let giver = Int(source.node.words.0 >> 40) - 1
                    if isManifest {
                        benches[index].store(model)
                    } else {
                        let place = Int(wanted.words.0) - 1
                        #expect(benches[giver].placement.missing(manifest(7), [place]).isEmpty)
                        served[giver] += 1
                        benches[index].stored(wanted.words.0)
                    }
                }
                let holdings = benches[index].placement.holdings
                for change in benches[index].changes() where change == .holdingsChanged {
                    for other in benches.indices where other != index {
                        benches[other].peer(UInt64(index + 1), holdings)
                    }
                }
            }
        }
        for bench in benches { #expect(bench.placement.replication(manifest(7)) == count) }
        // The first holder does not do all the work.
        if count > 2 { #expect(served[0] < 70 * (count - 1)) }
    }
}
