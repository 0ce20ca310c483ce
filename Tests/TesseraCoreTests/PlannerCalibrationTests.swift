import Testing

@testable import TesseraCore

/// Operators' times from what fragments took.
@Suite struct PlannerCalibrationTests {
    private typealias Measurement = OperatorCalibration.Measurement

    private func measurement(_ range: Range<Int>, share: Int, of times: [Int]) -> Measurement {
        let sum = range.reduce(0) { $0 + times[$1] * share / OperatorCalibration.whole }
        return Measurement(parts: range.map { ($0, share) }, nanoseconds: sum)
    }

    @Test("without measurements the estimates stay")
    func none() {
        #expect(OperatorCalibration.corrected([1, 2, 3], by: []) == [1, 2, 3])
    }

    @Test("one measurement scales all operators alike, the others by as much")
    func one() {
        let times = OperatorCalibration.corrected(
            [1_000, 3_000, 2_000],
            by: [measurement(0..<2, share: OperatorCalibration.whole, of: [2_000, 6_000, 0])])
        #expect(times == [2_000, 6_000, 4_000])
    }

    @Test("a tile counts by the rows that it computes of each operator")
    func tiles() {
        let half = OperatorCalibration.share(7, of: 14)
        let times = OperatorCalibration.corrected(
            [1_000, 1_000], by: [measurement(0..<2, share: half, of: [3_000, 3_000])])
        #expect(times == [3_000, 3_000])
    }

    @Test("overlapping measurements of whole runs and tiles give back the times behind them")
    func overlapping() {
        for seed in 0..<100 {
            var numbers = TestNumbers(seed: UInt64(seed))
            let count = numbers.next(4...20)
            let times = (0..<count).map { _ in numbers.next(100_000...5_000_000) }
            let estimates = times.map { $0 * numbers.next(40...250) / 100 }
            let measurements = (0..<count * 2).map { _ in
                let first = numbers.next(0...count - 1)
                let last = numbers.next(first...min(first + 5, count - 1))
                let share = numbers.next(
                    OperatorCalibration.whole / 4...OperatorCalibration.whole)
                return measurement(first..<last + 1, share: share, of: times)
            }
            let corrected = OperatorCalibration.corrected(estimates, by: measurements)
            func error(_ values: [Int]) -> Int {
                measurements.reduce(0) { sum, one in
                    let expected = one.parts.reduce(0) {
                        $0 + values[$1.index] * $1.share / OperatorCalibration.whole
                    }
                    return sum + abs(expected - one.nanoseconds) * 1_000 / one.nanoseconds
                } / measurements.count
            }
            // Within 6 % on the average, from tens of percent.
            #expect(error(corrected) <= 60, "seed \(seed): from \(error(estimates))")
            #expect(error(corrected) * 3 <= error(estimates), "seed \(seed)")
        }
    }

    @Test("absurd measurements stop nothing")
    func absurd() {
        let times = OperatorCalibration.corrected(
            [1, Int(1e12)],
            by: [
                Measurement(parts: [(0, OperatorCalibration.whole)], nanoseconds: Int.max / 2),
                Measurement(parts: [(1, 1)], nanoseconds: 1),
            ])
        #expect(times.allSatisfy { $0 > 0 && $0 <= CostArithmetic.nanosecondsMax })
    }
}
