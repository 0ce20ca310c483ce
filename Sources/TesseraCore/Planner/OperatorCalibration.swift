/// Corrects estimates of operators' times by what fragments made of them took.
///
/// A measured time is the sum of what it covers: of each operator all of it, or the rows that a tile
/// computes. Every step scales each operator's time by how much longer than expected the
/// measurements took that cover it, each by the part of the operator that it covers: expectation
/// maximisation as in emission tomography (Shepp and Vardi, 1982), which keeps times positive and
/// comes closer to the measurements with each step.
struct OperatorCalibration {
    /// What one measurement covers, and how long it took.
    struct Measurement {
        /// Operators, and the part of each that is computed in `1 / 2^16`.
        var parts: [(index: Int, share: Int)]
        /// At least 1.
        var nanoseconds: Int
    }

    private static let shareBits = 16
    /// All of an operator.
    static let whole = 1 << shareBits
    /// Steps: what is still to come is within what measurements vary.
    private static let stepCount = 20
    /// No measurement takes so many times longer, or shorter, than estimated.
    private static let ratioMax = 1 << 12

    /// The part `count` of `all`, at most all.
    static func share(_ count: Int, of all: Int) -> Int {
        all <= 0 || count >= all
            ? whole : CostArithmetic.scaled(whole, by: max(count, 0), over: all)
    }

    /// The estimates after all measurements; operators that none covers change as the others do on
    /// the whole.
    static func corrected(_ estimates: [Int], by measurements: [Measurement]) -> [Int] {
        guard !measurements.isEmpty else { return estimates }
        var covered = [Int](repeating: 0, count: estimates.count)
        var (expectedSum, measuredSum) = (0, 0)
        for measurement in measurements {
            for part in measurement.parts { covered[part.index] += part.share }
            expectedSum = sum(expectedSum, expected(measurement, by: estimates))
            measuredSum = sum(measuredSum, measurement.nanoseconds)
        }
        var result = estimates
        for _ in 0..<stepCount {
            var scales = [Int](repeating: 0, count: estimates.count)
            for measurement in measurements {
                let expected = max(expected(measurement, by: result), 1)
                let ratio = min(
                    CostArithmetic.scaled(measurement.nanoseconds, by: whole, over: expected),
                    whole * ratioMax)
                for part in measurement.parts {
                    scales[part.index] += (part.share * ratio) >> shareBits
                }
            }
            for index in result.indices where covered[index] > 0 {
                result[index] = max(
                    CostArithmetic.scaled(result[index], by: scales[index], over: covered[index]), 1
                )
            }
        }
        for index in result.indices where covered[index] == 0 {
            result[index] = max(
                CostArithmetic.scaled(estimates[index], by: measuredSum, over: max(expectedSum, 1)),
                1)
        }
        return result
    }

    private static func expected(_ measurement: Measurement, by times: [Int]) -> Int {
        measurement.parts.reduce(0) {
            sum($0, CostArithmetic.scaled(times[$1.index], by: $1.share, over: whole))
        }
    }

    /// Times of whole models stay far below; what does not is not sensible anyway.
    private static func sum(_ one: Int, _ other: Int) -> Int { min(one + other, Int.max / 4) }
}
