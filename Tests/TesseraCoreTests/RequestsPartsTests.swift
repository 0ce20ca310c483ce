import Testing

@testable import TesseraCore

@Suite struct RequestsPartsTests {
    private typealias Fixture = RequestsFixture

    @Test("a tensor goes straight to each fragment that reads it, and outputs go to the entry")
    func routes() {
        let plan = Fixture.plan(hosts: [0, 1, 2], cuts: [1, 3]).plan
        #expect(
            plan.routes == [
                Route(tensor: 0, source: .entry, destination: .fragment(0)),
                Route(tensor: 1, source: .fragment(0), destination: .fragment(1)),
                Route(tensor: 1, source: .fragment(0), destination: .fragment(2)),
                Route(tensor: 3, source: .fragment(1), destination: .fragment(2)),
                Route(tensor: 4, source: .fragment(2), destination: .entry),
            ])
    }

    @Test("a layout names each fragment's inputs, outputs and routes")
    func layout() {
        let layout = Fixture.layout(Fixture.plan(hosts: [0, 1, 2], cuts: [1, 3]))
        #expect(
            layout.flows == [
                PlanLayout.FragmentFlow(inputs: [Self.input(0)], outputs: [[1, 2]]),
                PlanLayout.FragmentFlow(inputs: [Self.input(1)], outputs: [[3]]),
                PlanLayout.FragmentFlow(inputs: [Self.input(2), Self.input(3)], outputs: [[4]]),
            ])
        #expect(layout.entrySends == [0])
        #expect(layout.entryReceives == [Self.input(4)])
        #expect(layout.cuts.allSatisfy { $0 == nil })
        #expect(layout.descriptors[3].name == "tensor-3")
        #expect(layout.fragments(on: Fixture.member(2)) == [2])
    }

    private static func input(_ route: Int) -> PlanLayout.Input {
        PlanLayout.Input(routes: [route], blocks: 1)
    }

    @Test("an inner tensor that is an output of the model has two readers")
    func innerOutput() {
        var outline = Fixture.outline
        outline.tensors[2].isOutput = true
        outline.outputs = [2, 4]
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2], outline: outline)
        let layout = PlanLayout(plan, outline: outline)
        #expect(
            layout.flows[0].outputs.map { layout.plan.routes[$0[0]].tensor } == [1, 2])
        #expect(
            layout.entryReceives.map { layout.plan.routes[$0.routes[0]].tensor } == [2, 4])
    }

    @Test("a payload with one holder is given back at once")
    func oneHolder() {
        var ledger = PayloadLedger()
        #expect(ledger.release(PayloadID(number: 1)) == true)
    }

    @Test("a payload with more holders is given back by the last one")
    func holders() {
        var ledger = PayloadLedger()
        let payload = PayloadID(number: 1)
        ledger.retain(payload)
        ledger.retain(payload)
        #expect([1, 2, 3].map { _ in ledger.release(payload) } == [false, false, true])
        #expect(ledger == PayloadLedger())
    }

    @Test("a fragment's time is told after enough runs, as their lower quartile")
    func firstTime() {
        var clock = FragmentClock()
        let key = FragmentKey(manifest: Fixture.manifest, operators: 0..<1)
        var told: [FragmentTime] = []
        for run in 0..<8 {
            // Every third run is undisturbed.
            let time = clock.onRun(key, microseconds: run % 3 == 0 ? 100 : 1_000)
            if let time { told.append(time) }
            #expect(told.isEmpty == (run < 7))
        }
        #expect(told == [FragmentTime(key: key, microseconds: 100)])
    }

    @Test("a time that hardly moved is not told again, one that did is")
    func movedTime() {
        var clock = FragmentClock()
        let key = FragmentKey(manifest: Fixture.manifest, operators: 0..<1)
        func told(_ microseconds: Int64, runs: Int = 32) -> [Int64] {
            (0..<runs).compactMap { _ in
                clock.onRun(key, microseconds: microseconds)?.microseconds
            }
        }
        #expect(told(1_000) == [1_000])
        #expect(told(1_030) == [])
        #expect(told(1_100) == [1_100])
    }

    @Test("a time that is quite another one is told after three runs, a single such run never")
    func strayTime() {
        var clock = FragmentClock()
        let key = FragmentKey(manifest: Fixture.manifest, operators: 0..<1)
        func told(_ runs: [Int64]) -> [Int64] {
            runs.compactMap { clock.onRun(key, microseconds: $0)?.microseconds }
        }
        #expect(told([Int64](repeating: 1_000, count: 8)) == [1_000])
        #expect(told([4_000, 1_000, 4_000, 1_000, 4_000, 200, 4_000, 1_000]) == [])
        #expect(told([4_000, 4_000, 4_000]) == [4_000])
        #expect(told([1_000, 1_000, 1_000]) == [1_000])
    }

    @Test("what was measured at another speed is worth as much less or more")
    func anotherSpeed() {
        var clock = FragmentClock()
        let key = FragmentKey(manifest: Fixture.manifest, operators: 0..<1)
        for _ in 0..<8 { _ = clock.onRun(key, microseconds: 1_000) }
        clock.onSpeed(from: 4_000, to: 1_000)
        #expect((0..<32).allSatisfy { _ in clock.onRun(key, microseconds: 4_000) == nil })
    }
}
