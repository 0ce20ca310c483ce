import TesseraCore

/// Needs over several layers.
///
/// A need that no window describes becomes a wider one: whoever gets more rows than it needs cuts
/// them off.
extension RowNeed {
    /// What a chain of two layers needs: this need for the rows of a tensor in between, of which
    /// its maker needs `input` for each.
    func joined(_ input: RowNeed) -> RowNeed {
        guard case .window(let first) = self, case .window(let second) = input else { return .all }
        return first.joined(second).map(RowNeed.window) ?? .all
    }

    /// What two readers of one tensor need together.
    func union(_ other: RowNeed) -> RowNeed {
        guard case .window(let one) = self, case .window(let two) = other else { return .all }
        return one.union(two).map(RowNeed.window) ?? .all
    }
}

extension RowWindow {
    /// The window that contains `second` of each window of this; nil if its figures are too large.
    ///
    /// With `x` the numerator of this window, the ends are `floor((floor(x / d) s + l) / e)`. They
    /// are `floor((x s + l d) / (d e))` if `s` or `d` is 1; else the inner rounding moves the lower
    /// end by less than `s` steps, which the lower figure allows for.
    func joined(_ second: RowWindow) -> RowWindow? {
        let slack = second.scale == 1 ? 0 : (divisor - 1) * second.scale
        let lowers = Self.sum(
            Self.product(lower, second.scale), Self.product(second.lower, divisor))
        let uppers = Self.sum(
            Self.product(upper, second.scale), Self.product(second.upper, divisor))
        guard let scale = Self.product(scale, second.scale), let lowers, let uppers,
            let divisor = Self.product(divisor, second.divisor)
        else { return nil }
        return RowWindow(
            scale: scale, lower: lowers - slack, upper: uppers, divisor: divisor
        ).modest
    }

    /// The window that contains both; nil if they do not move alike.
    func union(_ other: RowWindow) -> RowWindow? {
        guard let crossed = Self.product(scale, other.divisor),
            crossed == Self.product(other.scale, divisor)
        else { return nil }
        let figures = [
            Self.product(lower, other.divisor), Self.product(other.lower, divisor),
            Self.product(upper, other.divisor), Self.product(other.upper, divisor),
            Self.product(divisor, other.divisor),
        ].compactMap { $0 }
        guard figures.count == 5 else { return nil }
        return RowWindow(
            scale: crossed, lower: min(figures[0], figures[1]), upper: max(figures[2], figures[3]),
            divisor: figures[4]
        ).modest
    }

    /// Whether the rows of any tensor can be counted with it without overflow.
    var isModest: Bool {
        let (factors, offsets) = (ModelLimits.rowFactorMax, ModelLimits.rowOffsetMax)
        return scale <= factors && divisor <= factors && abs(lower) <= offsets
            && abs(upper) <= offsets
    }

    /// With the least figures; nil if they are too large.
    private var modest: RowWindow? {
        let result = simplified
        return result.isModest ? result : nil
    }

    /// The same window with the least figures.
    ///
    /// Where `f` divides scale and divisor, `floor((f n + r) / (f d))` with `0 <= r < f` is
    /// `floor(n / d)`.
    private var simplified: RowWindow {
        let factor = Self.greatestDivisor(scale, divisor)
        func divided(_ value: Int) -> Int {
            value >= 0 ? value / factor : -((factor - 1 - value) / factor)
        }
        return RowWindow(
            scale: scale / factor, lower: divided(lower), upper: divided(upper),
            divisor: divisor / factor)
    }

    private static func greatestDivisor(_ one: Int, _ other: Int) -> Int {
        other == 0 ? max(1, one) : greatestDivisor(other, one % other)
    }

    private static func product(_ one: Int?, _ other: Int?) -> Int? {
        guard let one, let other else { return nil }
        let (value, overflow) = one.multipliedReportingOverflow(by: other)
        return overflow || abs(value) > ModelLimits.rowOffsetMax ? nil : value
    }

    private static func sum(_ one: Int?, _ other: Int?) -> Int? {
        guard let one, let other else { return nil }
        return abs(one + other) > ModelLimits.rowOffsetMax ? nil : one + other
    }
}
