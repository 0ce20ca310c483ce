import TesseraCore
import Testing

@testable import TesseraModel

@Suite("Needs of rows over several layers")
struct RowWindowTests {
    /// Windows as layers have them: sliding, shrinking, enlarging, shifted.
    private func window(_ random: inout SeededGenerator) -> RowWindow {
        let divisor = random.chance(1, outOf: 2) ? 1 : 1 + random.next(below: 4)
        let lower = random.next(below: 9) - 6
        return RowWindow(
            scale: 1 + random.next(below: 3), lower: lower,
            upper: lower + divisor - 1 + random.next(below: 6), divisor: divisor)
    }

    private func range(_ random: inout SeededGenerator) -> Range<Int> {
        let first = random.next(below: 30)
        return first..<(first + 1 + random.next(below: 12))
    }

    /// The rows without the image's ends.
    private func rows(_ window: RowWindow, _ rows: Range<Int>) -> ClosedRange<Int> {
        func floor(_ value: Int) -> Int {
            Int((Double(value) / Double(window.divisor)).rounded(.down))
        }
        let first = floor(rows.lowerBound * window.scale + window.lower)
        return first...max(first, floor(rows.upperBound * window.scale + window.upper))
    }

    @Test("A chain's window holds what its layers need one after the other, and often no more")
    func joins() throws {
        var random = SeededGenerator(seed: 1)
        var exactCount = 0
        for _ in 0..<20_000 {
            let (one, two) = (window(&random), window(&random))
            let joined = try #require(one.joined(two))
            let output = range(&random)
            let middle = rows(one, output)
            let expected = rows(two, middle.lowerBound..<middle.upperBound)
            let found = rows(joined, output)
            #expect(found.lowerBound <= expected.lowerBound)
            #expect(found.upperBound >= expected.upperBound)
            if one.divisor == 1 || two.scale == 1 {
                #expect(found == expected)
                exactCount += 1
            }
        }
        #expect(exactCount > 10_000)
    }

    @Test("Two readers' window is the hull, where they move alike")
    func unites() throws {
        var random = SeededGenerator(seed: 2)
        var count = 0
        for _ in 0..<20_000 {
            let (one, two) = (window(&random), window(&random))
            let movesAlike = one.scale * two.divisor == two.scale * one.divisor
            let union = one.union(two)
            #expect((union != nil) == movesAlike)
            guard let union else { continue }
            let output = range(&random)
            let (first, second) = (rows(one, output), rows(two, output))
            let found = rows(union, output)
            #expect(found.lowerBound == min(first.lowerBound, second.lowerBound))
            #expect(found.upperBound == max(first.upperBound, second.upperBound))
            count += 1
        }
        #expect(count > 1_000)
    }

    @Test("What no window describes needs all rows")
    func fallsBack() {
        let same = RowNeed.window(.same)
        let half = RowNeed.window(RowWindow(scale: 1, lower: 0, upper: 1, divisor: 2))
        let huge = RowNeed.window(RowWindow(scale: 1 << 30, lower: 0, upper: 0))
        #expect(same.union(half) == .all)
        #expect(same.union(.all) == .all)
        #expect(RowNeed.all.joined(same) == .all)
        #expect(same.joined(.all) == .all)
        #expect(huge.joined(huge) == .all)
        #expect(half.joined(same) == half)
    }
}
