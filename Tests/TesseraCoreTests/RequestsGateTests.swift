import Testing

@testable import TesseraCore

@Suite struct RequestsGateTests {
    private let primary = RequestsFixture.plan(hosts: [0, 1], cuts: [2])
    private let first = RequestsFixture.member(8)
    private let second = RequestsFixture.member(9)

    @Test("a gate serves entries in turn, one ticket at a time")
    func fairness() {
        var gate = Gate()
        var directives: [Directive] = []
        gate.onWish(plan: primary, entry: first, count: 6, into: &directives)
        #expect(directives.tickets.map(\.numbers) == [[1, 2]])
        gate.onWish(plan: primary, entry: second, count: 6, into: &directives)
        var served: [NodeBoot] = []
        var out: [(NodeBoot, UInt64)] = [(first, 1), (first, 2)]
        for _ in 0..<6 {
            let (entry, number) = out.removeFirst()
            directives = []
            gate.onReturn(numbers: [number], from: entry, into: &directives)
            for ticket in directives.tickets {
                served.append(ticket.entry)
                out += ticket.numbers.map { (ticket.entry, $0) }
            }
        }
        #expect(served == [first, second, first, second, first, second])
    }

    @Test("a gate never has more tickets out than the window", arguments: 1...20)
    func window(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var gate = Gate()
        var out: [NodeBoot: [UInt64]] = [:]
        let entries = (0..<4).map { RequestsFixture.member($0) }
        for _ in 0..<300 {
            let entry = entries[random.next(below: 4)]
            var directives: [Directive] = []
            switch random.next(below: 8) {
            case 0...3:
                gate.onWish(
                    plan: primary, entry: entry, count: random.next(below: 5), into: &directives)
            case 4...6:
                let numbers = Array((out[entry] ?? []).prefix(random.next(below: 3)))
                out[entry]?.removeFirst(numbers.count)
                gate.onReturn(numbers: numbers, from: entry, into: &directives)
            default:
                out[entry] = nil
                gate.onEntryLost(entry, into: &directives)
            }
            for ticket in directives.tickets { out[ticket.entry, default: []] += ticket.numbers }
            let total = out.values.reduce(0) { $0 + $1.count }
            #expect(total <= 2)
            #expect(gate.outstanding(primary.plan.ballot) == total)
        }
    }

    @Test("a plan and its alternates share one count of tickets")
    func family() {
        let alternate = RequestsFixture.plan(hosts: [0, 2], cuts: [2], without: 1)
        var gate = Gate()
        var directives: [Directive] = []
        gate.onWish(plan: primary, entry: first, count: 1, into: &directives)
        gate.onWish(plan: alternate, entry: second, count: 5, into: &directives)
        #expect(directives.tickets.map(\.numbers.count) == [1, 1])
        #expect(gate.outstanding(primary.plan.ballot) == 2)
    }

    @Test("an entry that is lost gives its tickets and wishes up")
    func entryLost() {
        var gate = Gate()
        var directives: [Directive] = []
        gate.onWish(plan: primary, entry: first, count: 9, into: &directives)
        gate.onWish(plan: primary, entry: second, count: 9, into: &directives)
        directives = []
        gate.onEntryLost(first, into: &directives)
        #expect(directives.tickets.map(\.entry) == [second])
        #expect(directives.tickets.first?.numbers.count == 2)
    }

    @Test("a ticket that another entry holds cannot be returned")
    func foreignReturn() {
        var gate = Gate()
        var directives: [Directive] = []
        gate.onWish(plan: primary, entry: first, count: 2, into: &directives)
        gate.onReturn(numbers: [1, 2], from: second, into: &directives)
        #expect(gate.outstanding(primary.plan.ballot) == 2)
    }

    @Test("a wish replaces the wish before it")
    func wishIsWhole() {
        var gate = Gate()
        var directives: [Directive] = []
        gate.onWish(plan: primary, entry: first, count: 2, into: &directives)
        gate.onWish(plan: primary, entry: second, count: 3, into: &directives)
        gate.onWish(plan: primary, entry: second, count: 0, into: &directives)
        directives = []
        gate.onReturn(numbers: [1], from: first, into: &directives)
        #expect(directives.isEmpty)
    }
}
