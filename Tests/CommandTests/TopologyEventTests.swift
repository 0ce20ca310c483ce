import TesseraCore
import Testing

@testable import tessera

/// Three nodes; tests add events.
private let mesh = """
    nodes:
      - name: board
        count: 2
        threads: 4
        memory_bytes: 3221225472
        operations_per_second: 2.4e10
        moved_bytes_per_second: 3.0e9
      - name: hub
        threads: 16
        memory_bytes: 17179869184
        operations_per_second: 8.0e11
        moved_bytes_per_second: 4.0e10
    links:
      default: {bits_per_second: 1.0e9, latency_seconds: 0.0002}
    events:

    """

@Suite struct TopologyEventTests {
    private func events(_ text: String) throws -> [TopologyEvent] {
        try Topology(DocumentField.document(mesh + text, file: "mesh.yaml")).events
    }

    @Test("every kind of event is read, in the order of the moments")
    func whole() throws {
        let events = try events(
            """
              - {at_seconds: 2, boot: board-2}
              - {at_seconds: 1.5, crash: board-2}
              - {at_seconds: 3, leave: hub}
              - {at_seconds: 3, freeze: board}
              - {at_seconds: 3, thaw: board}
              - {at_seconds: 4, isolate: board-1}
              - {at_seconds: 4, cut: [board, hub]}
              - {at_seconds: 5, heal: all}
              - {at_seconds: 6, cpu: hub, share: 0.125}
              - {at_seconds: 6, rate: hub, bits_per_second: 1.0e7}
              - {at_seconds: 6, loss: hub, share: 0.01}
            """)
        #expect(events.map(\.atNanoseconds).prefix(2) == [1_500_000_000, 2_000_000_000])
        #expect(
            events.map(\.kind) == [
                .crash([1]), .boot([1]), .leave([2]), .freeze([0, 1]), .thaw([0, 1]),
                .isolate([0]), .cut([0, 1], [2]), .heal, .processors([2], thousandths: 125),
                .rate([2], bitsPerSecond: 10_000_000), .loss([2], millionths: 10_000),
            ])
    }

    @Test(
        "what is wrong with an event is named with its line and field",
        arguments: [
            ("{crash: hub}", "events[0]", "'at_seconds' is missing"),
            ("{at_seconds: -1, crash: hub}", "events[0].at_seconds", "a number of seconds"),
            ("{at_seconds: 1}", "events[0]", "exactly one of"),
            ("{at_seconds: 1, crash: hub, boot: hub}", "events[0]", "this has 2"),
            ("{at_seconds: 1, crash: hob}", "events[0].crash", "no node is called 'hob'"),
            ("{at_seconds: 1, explode: hub}", "events[0].explode", "not known"),
            ("{at_seconds: 1, heal: hub}", "events[0].heal", "'all'"),
            ("{at_seconds: 1, cut: [hub]}", "events[0].cut", "two ends"),
            ("{at_seconds: 1, cut: [board, board-1]}", "events[0].cut", "cut from itself"),
            ("{at_seconds: 1, cpu: hub}", "events[0]", "'share' is missing"),
            ("{at_seconds: 1, cpu: hub, share: 0}", "events[0].share", "processors"),
            ("{at_seconds: 1, loss: hub, share: 2}", "events[0].share", "from 0 to 1"),
            ("{at_seconds: 1, crash: hub, share: 1}", "events[0].share", "does not belong"),
            ("{at_seconds: 1, rate: hub, bits_per_second: 1}", "bits_per_second", "from"),
        ] as [(String, String, String)])
    func wrong(event: String, field: String, reason: String) {
        do {
            _ = try events("  - " + event)
            Issue.record("no error")
        } catch let failure as CommandFailure {
            #expect(failure.message.hasPrefix("mesh.yaml, line 16, "), "\(failure.message)")
            #expect(failure.message.contains(field), "\(failure.message)")
            #expect(failure.message.contains(reason), "\(failure.message)")
        } catch {
            Issue.record("another error: \(error)")
        }
    }
}
