import TesseraCore
import Testing

@testable import TesseraNode

@Suite("Tally of events")
struct EventTallyTests {
    @Test(
        "a limit is named without the node or the reason behind it",
        arguments: [
            ("requests waiting at this node", "requests waiting at this node"),
            ("slices queued for 0123abcd", "slices queued"),
            ("the journal ends here: the disk is full", "the journal ends here"),
        ])
    func limits(text: String, name: String) {
        #expect(EventTally.name(ofLimit: text) == name)
    }

    @Test("events add up")
    func sums() {
        let member = NodeBoot(node: NodeID(1, 0, 0, 0), boot: Boot(counter: 1, random: 1))
        var tally = EventTally()
        tally.note(.lossDetected(member))
        tally.note(.recovered(lost: member, after: .milliseconds(20)))
        tally.note(.recovered(lost: member, after: .milliseconds(30)))
        tally.note(.limit("slices queued for a", count: 1))
        tally.note(.limit("slices queued for b", count: 1))
        #expect(tally.losses == 1)
        #expect(tally.recoveries == 2)
        #expect(tally.recoverySpan == .milliseconds(50))
        #expect(tally.limits == ["slices queued": 2])
    }

    @Test("what is counted by name is bounded")
    func bound() {
        var tally = EventTally()
        for number in 0..<(EventTally.namesMax + 20) {
            tally.note(.limit("limit \(number)", count: 1))
        }
        #expect(tally.limits.count == EventTally.namesMax + 1)
        #expect(tally.limits[EventTally.otherLimit] == 20)
    }
}
