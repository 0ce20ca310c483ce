import TesseraAPI
import TesseraCore
import Testing

@testable import tessera

private typealias Fixture = OperationsFixture

@Suite struct TrafficMeterTests {
    private func at(_ milliseconds: Int64) -> TimeSpan { .milliseconds(milliseconds) }

    @Test("seconds that are over tell counts and times")
    func seconds() {
        let meter = TrafficMeter()
        for index in 1...100 {
            meter.noteAnswer(
                model: "m", at: at(2_000 + Int64(index)), took: .microseconds(Int64(index)))
        }
        meter.noteFailure(at: at(2_999))
        // The second is not over yet.
        #expect(meter.seconds(300, at: at(2_999)).isEmpty)
        let expected = TrafficDocument(
            second: 2, answered: 100, failed: 1, medianMicroseconds: 50, p99Microseconds: 99)
        #expect(meter.seconds(300, at: at(3_000)) == [expected])
        // Later seconds without a request are left out, and what is old goes.
        meter.noteFailure(at: at(5_000))
        let failed = TrafficDocument(
            second: 5, answered: 0, failed: 1, medianMicroseconds: nil, p99Microseconds: nil)
        #expect(meter.seconds(300, at: at(9_000)) == [expected, failed])
        #expect(meter.seconds(5, at: at(9_000)) == [failed])
        #expect(meter.seconds(300, at: at(303_000)) == [failed])
    }

    @Test("a model's rate is taken over the last seconds that are over")
    func rate() {
        let meter = TrafficMeter()
        #expect(meter.rate(of: "m", at: at(500)) == 0)
        for index in 0..<30 {
            meter.noteAnswer(
                model: index % 3 == 0 ? "other" : "m", at: at(10_000 + Int64(index) * 100),
                took: .zero)
        }
        #expect(meter.rate(of: "m", at: at(13_000)) == 4)
        #expect(meter.rate(of: "other", at: at(13_000)) == 2)
        #expect(meter.rate(of: "m", at: at(18_000)) == 0)
        #expect(meter.rate(of: "none", at: at(13_000)) == 0)
    }

    @Test("what is kept is bounded, whatever comes")
    func bounds() {
        let meter = TrafficMeter()
        for second in 0..<1_000 {
            for model in 0..<100 {
                meter.noteAnswer(
                    model: "\(model)", at: at(Int64(second) * 1_000), took: .microseconds(1))
            }
        }
        #expect(meter.seconds(10_000, at: at(1_000_000)).count == TrafficMeter.secondsMax)
        #expect(meter.rate(of: "1", at: at(1_000_000)) == 1)
        #expect(meter.rate(of: "99", at: at(1_000_000)) == 0)
    }
}

@Suite struct LoadDocumentTests {
    @Test("shares of stages follow the busiest node, and what is answered now")
    func shares() {
        let load = LoadDocument(
            PlanLoad(
                Fixture.plan([
                    Fixture.stage(["a"], predicted: 10_000, measured: 10_000),
                    Fixture.stage(["b"], predicted: 9_000, measured: 20_000, link: 2_000),
                    Fixture.stage(["c", "d"], predicted: 10_000, measured: nil, mode: "replicas"),
                    Fixture.stage(["e"], predicted: 1_000, measured: 1_000, link: 4_000),
                ])), answersPerSecond: 10)
        #expect(load.bottleneck == 1 && load.limit == "computing")
        #expect(load.fullShares == [0.5, 1, 0.25, 0.2])
        #expect(load.currentShares == [0.1, 0.2, 0.05, 0.04])
        #expect(load.answersPerSecond == 10)
    }

    @Test("a plan without figures has no shares to divide")
    func empty() {
        let load = LoadDocument(
            PlanLoad(Fixture.plan([Fixture.stage(["a"], predicted: 0, measured: 0)])),
            answersPerSecond: 1_000)
        #expect(load.fullShares == [0] && load.currentShares == [0])
    }
}
