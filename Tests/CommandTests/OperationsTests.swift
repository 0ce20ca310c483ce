import TesseraAPI
import Testing

@testable import tessera

/// Documents of an agent named a in a mesh of two, for the tests of what is made of them.
enum OperationsFixture {
    static func status(
        uptime: Int64 = 60_000_000, isReady: Bool = true, alive: Int = 2, reserved: Int = 10,
        counters: [String: UInt64] = [:], health: [String] = []
    ) -> StatusDocument {
        StatusDocument(
            release: "0.1.0", name: "a", id: "00", mesh: "home", listen: "[::1]:8701",
            discovery: "mDNS", uptimeMicroseconds: uptime, isReady: isReady,
            reason: isReady ? nil : "the agent is leaving the mesh", membersAlive: alive,
            openRequests: 3, reservedBytes: reserved, memoryBytes: 100, counters: counters,
            health: health)
    }

    static func model(_ name: String, isReady: Bool = true) -> ModelDocument {
        ModelDocument(
            name: name, manifest: "00", isReady: isReady,
            reason: isReady ? nil : "no node has room",
            weightBytes: 1, copies: 2, nodes: 2)
    }

    static func stage(
        _ nodes: [String], predicted: Int64, measured: Int64?, link: Int64 = 0,
        mode: String = "single"
    ) -> StageDocument {
        StageDocument(
            mode: mode, nodes: nodes, first: 0, last: 4, operators: ["x", "y"],
            predictedMicroseconds: predicted, measuredMicroseconds: measured,
            linkMicroseconds: link, memoryBytes: 7)
    }

    static func plan(_ stages: [StageDocument], model: String = "m") -> PlanDocument {
        PlanDocument(
            model: model, plan: "0123456789", epoch: 1, proposer: "a", operators: 5,
            stages: stages, window: 4, predictedPeriodMicroseconds: 10_000,
            predictedLatencyMicroseconds: 25_000, boundMicroseconds: 9, binding: "all",
            bottleneck: "computing on b", exactness: "exact", alternates: [], used: [], leftOut: [])
    }

    static func member(_ name: String, status: String = "alive") -> MemberDocument {
        MemberDocument(
            name: name, id: "0123456789", boot: 1, address: "[::1]:1", status: status,
            isSelf: name == "a", isConnected: true, isLeaving: false, bytesPerSecond: 12_000_000)
    }

    static func event(
        _ number: UInt64, _ kind: String = "decided", model: String? = nil, node: String? = nil,
        text: String = "a plan"
    ) -> EventDocument {
        EventDocument(
            number: number, atMicroseconds: Int64(number) * 1_000_000, kind: kind, node: node,
            model: model, plan: nil, text: text, milliseconds: nil)
    }
}

private typealias Fixture = OperationsFixture

@Suite struct PlanLoadTests {
    @Test("the slowest node limits, by what was measured before what was expected")
    func computing() {
        let load = PlanLoad(
            Fixture.plan([
                Fixture.stage(["a"], predicted: 10_000, measured: 8_000),
                Fixture.stage(["b"], predicted: 9_000, measured: 15_000, link: 2_000),
            ]))
        #expect(load.bottleneck == 1 && load.limit == .computing)
        // As much longer than expected as the busiest node.
        #expect(load.periodMicroseconds == 15_000)
        #expect(load.latencyMicroseconds == 29_000)
    }

    @Test("a link that takes longer than any node limits")
    func links() {
        let load = PlanLoad(
            Fixture.plan([
                Fixture.stage(["a"], predicted: 4_000, measured: 4_000),
                Fixture.stage(["b"], predicted: 5_000, measured: nil, link: 10_000),
            ]))
        #expect(load.bottleneck == 1 && load.limit == .links)
        #expect(load.periodMicroseconds == 10_000)
    }

    @Test("the stages of one node add up, and replicas share the items")
    func sums() {
        let load = PlanLoad(
            Fixture.plan([
                Fixture.stage(["a"], predicted: 4_000, measured: nil),
                Fixture.stage(["b", "c"], predicted: 9_000, measured: nil, mode: "replicas"),
                Fixture.stage(["a"], predicted: 3_000, measured: nil),
            ]))
        #expect(load.bottleneck == 0)
        // Nothing was measured.
        #expect(load.periodMicroseconds == nil && load.latencyMicroseconds == nil)
    }

    @Test("a plan without figures is not divided by")
    func empty() {
        #expect(PlanLoad(Fixture.plan([])).bottleneck == nil)
        let load = PlanLoad(Fixture.plan([Fixture.stage(["a"], predicted: 0, measured: 0)]))
        #expect(load.periodMicroseconds == 10_000)
    }
}

@Suite struct CheckTests {
    private func result(
        _ check: Check, _ status: StatusDocument = Fixture.status(),
        models: [ModelDocument] = [Fixture.model("m")], plans: [PlanDocument] = []
    ) -> CheckDocument {
        check.result(status: status, models: ModelsDocument(models: models), plans: plans)
    }

    @Test("all is well: one line with figures")
    func well() {
        let well = result(Check(membersMin: 2, models: ["m"], memoryPercentMax: 80))
        #expect(well.state == .ok && well.code == 0 && well.findings.isEmpty)
        #expect(
            well.line == "TESSERA OK: a is ready, 2 members alive, 1 of 1 models ready, 10 % of "
                + "the memory reserved | members=2;;2: models_ready=1 open_requests=3 memory=10%;80"
        )
    }

    @Test("too few members, models that are not ready and an agent that is not are critical")
    func critical() {
        #expect(result(Check(membersMin: 3)).code == 2)
        #expect(result(Check(membersMin: 2)).code == 0)
        #expect(result(Check(models: ["other"])).text == "the mesh has no model other")
        let waiting = result(
            Check(models: ["m"]), Fixture.status(health: ["model m is not served: no room"]),
            models: [Fixture.model("m", isReady: false)])
        #expect(waiting.code == 2 && waiting.findings.count == 1)
        #expect(waiting.text == "model m is not ready: no node has room")
        let leaving = result(Check(), Fixture.status(isReady: false))
        #expect(leaving.code == 2)
        #expect(leaving.line.hasPrefix("TESSERA CRITICAL: a is not ready: the agent is leaving"))
    }

    @Test("memory, times and health lines are warnings, and the worst comes first")
    func warnings() {
        let full = result(Check(memoryPercentMax: 9))
        #expect(full.code == 1 && full.text.contains("more than 9 %"))
        #expect(result(Check(memoryPercentMax: 10)).code == 0)
        let ill = result(Check(membersMin: 5), Fixture.status(health: ["mDNS: gone"]))
        #expect(ill.code == 2)
        #expect(ill.findings.map(\.state) == [.critical, .warning])
        #expect(ill.text == "2 members alive, expected are 5; mDNS: gone")
    }

    @Test("times are compared with what was measured, and with nothing before that")
    func times() {
        let measured = Fixture.plan([Fixture.stage(["a"], predicted: 10_000, measured: 30_000)])
        let unknown = Fixture.plan([Fixture.stage(["a"], predicted: 90_000, measured: nil)])
        var check = Check(latencyMicrosecondsMax: 45_000)
        #expect(result(check, plans: [measured]).code == 0)
        check.latencyMicrosecondsMax = 44_999
        check.periodMicrosecondsMax = 30_000
        let slow = result(check, plans: [measured])
        #expect(slow.code == 1 && slow.findings.count == 1)
        #expect(slow.line.contains("m takes 45.0 ms for one item alone, more than 45.0 ms"))
        #expect(slow.line.contains(" latency_m=45ms;45 period_m=30ms;30"))
        let idle = result(check, plans: [unknown])
        #expect(idle.code == 0 && idle.text.hasSuffix("not measured yet: m"))
    }

    @Test("the plans of named models are looked at, else of all that are ready")
    func planned() {
        let models = ModelsDocument(models: [
            Fixture.model("b"), Fixture.model("a"), Fixture.model("c", isReady: false),
        ])
        #expect(Check().planned(models).isEmpty)
        #expect(Check(periodMicrosecondsMax: 1).planned(models) == ["a", "b"])
        #expect(Check(models: ["b", "c"], periodMicrosecondsMax: 1).planned(models) == ["b"])
    }

    @Test("no text breaks the form of the line")
    func form() {
        let line = result(Check(), Fixture.status(health: ["a|b\nc\u{1B}[2J"])).line
        #expect(line.hasPrefix("TESSERA WARNING: a/b c [2J | members=2 "))
        let unknown = CheckDocument(unknown: "no agent answers")
        #expect(unknown.line == "TESSERA UNKNOWN: no agent answers" && unknown.code == 3)
        let odd = Fixture.plan(
            [Fixture.stage(["a"], predicted: 1, measured: 1)], model: "ü m=1")
        #expect(
            result(Check(latencyMicrosecondsMax: 1_000_000), plans: [odd]).line
                .hasSuffix(" latency___m_1=25ms;1000"))
    }
}

@Suite struct EventFilterTests {
    @Test("a start is a number or a time")
    func start() {
        #expect(EventFilter.start("17") == .number(17))
        #expect(EventFilter.start("0") == .number(0))
        for (text, seconds) in [
            ("10m", 600), ("10min", 600), ("90s", 90), ("2h", 7_200), ("1d", 86_400), ("0.5s", 0.5),
            ("250ms", 0.25),
        ] {
            #expect(
                EventFilter.start(text) == .ago(microseconds: Int64(seconds * 1e6)), "\(text)")
        }
        for text in ["", "-1", "m", "10x", "1 m", "+5s", "1e3s", "9999d", "10mm", "infs", "."] {
            #expect(EventFilter.start(text) == nil, "\(text)")
        }
    }

    @Test("an event has to match everything that is asked for")
    func accepts() {
        let event = Fixture.event(5, "armed", model: "m", node: "b")
        #expect(EventFilter().accepts(event))
        #expect(!EventFilter().isParticular)
        #expect(EventFilter(kinds: ["decided", "armed"], model: "m", node: "b").accepts(event))
        #expect(!EventFilter(kinds: ["decided"]).accepts(event))
        #expect(!EventFilter(model: "n").accepts(event))
        #expect(!EventFilter(node: "c").accepts(event))
        #expect(!EventFilter(node: "b").accepts(Fixture.event(5)))
        #expect(EventFilter(earliestMicroseconds: 5_000_000).accepts(event))
        #expect(!EventFilter(earliestMicroseconds: 5_000_001).accepts(event))
    }

    @Test("only the losses of one node")
    func losses() {
        var timeline = FailoverTimeline()
        timeline.take(Fixture.event(1, "lossDetected", node: "b"))
        timeline.take(Fixture.event(2, "lossDetected", node: "c"))
        timeline.take(Fixture.event(3))
        let only = timeline.only(about: "c")
        #expect(only.losses.map(\.node) == ["c"] && only.losses.first?.decided == 1_000)
    }

    @Test("options that are times have limits")
    func durations() throws {
        func duration(_ text: String) throws -> Duration {
            try SpanText.duration(
                text, option: "--interval", from: .milliseconds(100), to: .seconds(3_600))
        }
        #expect(try duration("2") == .seconds(2))
        #expect(try duration("100ms") == .milliseconds(100))
        #expect(try duration("60m") == .seconds(3_600))
        for text in ["0", "99ms", "61m", "soon", "-1s", ""] {
            #expect(throws: (any Error).self, "\(text)") { try duration(text) }
        }
    }
}

@Suite struct TopTests {
    private func frame() -> TopFrame {
        TopFrame(
            status: Fixture.status(
                uptime: 62_000_000,
                counters: [
                    "requestsAnswered": 150, "requestsRefused": 4, "sliceBytesSent": 6_000_000,
                ]),
            previous: Fixture.status(
                counters: ["requestsAnswered": 100, "requestsRefused": 4, "sliceBytesSent": 0]),
            members: [Fixture.member("a"), Fixture.member("b", status: "suspect")],
            models: [Fixture.model("m"), Fixture.model("n", isReady: false)],
            plans: [
                "m": Fixture.plan([
                    Fixture.stage(["a"], predicted: 4_000, measured: 4_100),
                    Fixture.stage(["b"], predicted: 9_000, measured: nil),
                ])
            ], events: [Fixture.event(1), Fixture.event(2, "armed", text: "it is ready")])
    }

    @Test("a frame has agent, members, plans with the bottleneck, and events")
    func whole() {
        #expect(
            TopView(frame()).lines().map(\.text) == [
                "a of mesh home: ready, up for 1 min 2 s, version 0.1.0",
                "members 2 alive   open 3   answers 25.0/s   refused 0.0/s",
                "memory 10 B of 100 B (10 %)   tensors out 3.00 MB/s   in -   finds peers by mDNS",
                "",
                "NAME  ID        STATUS   ADDRESS  ROUND TRIP     LINK  THREADS  MEMORY  SPEED",
                "a*    01234567  alive    [::1]:1           -  12 MB/s        -       -      -",
                "b     01234567  suspect  [::1]:1           -  12 MB/s        -       -      -",
                "",
                "m: ready, plan 01234567, an answer per 10.0 ms expected, 10.0 ms measured; limit: "
                    + "computing on b",
                "  STAGE  MODE    NODES  OPERATORS  EXPECTED  MEASURED    LINKS  LIMIT",
                "  1      single  a            0-4   4.00 ms   4.10 ms  0.00 ms",
                "  2      single  b            0-4   9.00 ms         -  0.00 ms  "
                    + "<- bottleneck: computing",
                "n: not ready: no node has room",
                "",
                "LAST EVENTS",
                "      1.000 s  decided       a plan",
                "      2.000 s  armed         it is ready",
            ])
    }

    @Test("what is wrong stands out, and only where colours may be shown")
    func styles() {
        var frame = frame()
        frame.status.health = ["mDNS: gone"]
        frame.notice = "no agent answers"
        let lines = TopView(frame).lines()
        func style(_ text: String) -> Style? { lines.first { $0.text.contains(text) }?.style }
        #expect(style("# mDNS: gone") == .warning)
        #expect(style("no agent answers") == .bad)
        #expect(style("suspect") == .warning)
        #expect(style("bottleneck") == .warning)
        #expect(style("n: not ready") == .bad)
        #expect(style("a*") == nil)
        let line = TopLine("abc", .bad)
        #expect(line.rendered(columns: nil, hasColour: false) == "abc")
        #expect(line.rendered(columns: 80, hasColour: true) == "\u{1B}[31mabc\u{1B}[0m")
    }

    @Test("lines are as wide as the terminal, and as many as it has rows")
    func fitting() {
        let line = TopLine("abcdef", .bold)
        #expect(line.rendered(columns: 6, hasColour: false) == "abcdef")
        #expect(line.rendered(columns: 4, hasColour: false) == "abc…")
        #expect(line.rendered(columns: 1, hasColour: false) == "a")
        #expect(line.rendered(columns: 4, hasColour: true) == "\u{1B}[1mabc…\u{1B}[0m")
        var frame = frame()
        frame.members = (0..<50).map { Fixture.member("node\($0)") }
        frame.events = (1...40).map { Fixture.event($0, text: "event \($0)") }
        for rows in 16...74 {
            let lines = TopView(frame).lines(rows: rows).map(\.text)
            #expect(lines.count <= rows)
            #expect(lines.first?.hasPrefix("a of mesh home") == true)
            #expect(lines.last?.hasSuffix("event 40") == true, "\(rows)")
            #expect(lines.contains { $0.hasPrefix("m: ready") })
            #expect(lines.contains { $0.contains("more lines") })
        }
        for rows in 1...15 { #expect(TopView(frame).lines(rows: rows).count <= rows) }
        // All of them are there where there is room; of events the last ones.
        let all = TopView(frame).lines(rows: 500).map(\.text)
        #expect(!all.contains { $0.contains("more lines") })
        #expect(all.count { $0.contains("event ") } == TopView.eventsMax)
    }

    @Test("nothing that a terminal would obey comes from a peer")
    func hostile() {
        let evil = "x\u{1B}[2J\u{9B}31m\r\n\u{202E}"
        var frame = frame()
        frame.status.name = evil
        frame.status.mesh = evil
        frame.status.discovery = evil
        frame.status.health = [evil]
        frame.notice = evil
        frame.members = [Fixture.member(evil, status: evil)]
        frame.models = [Fixture.model(evil), Fixture.model("n\(evil)", isReady: false)]
        var plan = Fixture.plan([Fixture.stage([evil], predicted: 1, measured: 1, mode: evil)])
        plan.bottleneck = evil
        plan.plan = evil
        frame.plans = [evil: plan]
        frame.events = [Fixture.event(1, evil, text: evil)]
        for line in TopView(frame).lines() {
            let bad = line.rendered(columns: nil, hasColour: false).unicodeScalars.filter {
                $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || $0.value == 0x202E
            }
            #expect(bad.isEmpty, "\(line.text)")
        }
    }

    @Test("rates are known between two looks at the same run only")
    func rates() {
        let now = Fixture.status(uptime: 4_000_000, counters: ["n": 30, "new": 1, "less": 1])
        let before = Fixture.status(uptime: 2_000_000, counters: ["n": 10, "less": 2])
        #expect(TopRates(before, now).perSecond("n") == 10)
        #expect(TopRates(before, now).count("new") == "-")
        #expect(TopRates(before, now).count("less") == "-")
        #expect(TopRates(nil, now).count("n") == "-")
        #expect(TopRates(now, before).count("n") == "-")
        #expect(TopRates(now, now).count("n") == "-")
        var other = before
        other.id = "11"
        #expect(TopRates(other, now).count("n") == "-")
    }
}
