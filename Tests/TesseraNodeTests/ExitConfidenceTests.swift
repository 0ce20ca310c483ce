import NIOCore
import TesseraCore
import TesseraNode
import Testing

/// How sure values are of an answer.
@Suite struct ExitConfidenceTests {
    private func confidence(_ values: [Float], _ measure: ExitMeasure) -> Int {
        var bytes = ByteBuffer()
        for value in values { bytes.writeInteger(value.bitPattern, endianness: .little) }
        return ExitConfidence.millionths(of: bytes, type: .float32, measure: measure)
    }

    @Test("probabilities are taken as they are")
    func probabilities() {
        let values: [Float] = [0.125, 0.75, 0.125]
        #expect(confidence(values, .probabilityMaximum) == 750_000)
        #expect(confidence(values, .probabilityMargin) == 625_000)
        // 1 - (0.75 ln(4/3) + 0.25 ln 8) / ln 3
        #expect(confidence(values, .probabilityEntropy) == 330_408)
        #expect(confidence([0.5, 0.5], .probabilityEntropy) == 0)
        #expect(confidence([1, 0], .probabilityEntropy) == 1_000_000)
        #expect(confidence([0, 0], .probabilityMaximum) == 0)
        #expect(confidence([2, -1], .probabilityMaximum) == 0)
    }

    @Test("logits become probabilities first, however large they are")
    func logits() {
        #expect(confidence([0, 0, 0, 0], .maximum) == 250_000)
        #expect(confidence([5, 5], .margin) == 0)
        #expect(confidence([5_000, -5_000], .entropy) == 1_000_000)
        // 1 / (1 + e^-2)
        #expect(confidence([1_001, 999], .maximum) == 880_797)
    }

    @Test("what is no list of numbers is never sure")
    func nonsense() {
        #expect(confidence([], .maximum) == 0)
        #expect(confidence([3], .maximum) == 0)
        #expect(confidence([.nan, 1], .maximum) == 0)
        #expect(confidence([.infinity, 1], .margin) == 0)
        let bytes = ByteBuffer(bytes: [1, 2, 3, 4])
        #expect(ExitConfidence.millionths(of: bytes, type: .int8, measure: .maximum) == 0)
    }

    @Test("halves and doubles are read as well")
    func types() {
        var halves = ByteBuffer()
        // 0.25, 0.75, and the smallest that is not 0.
        for bits: UInt16 in [0x3400, 0x3A00, 0x0001] {
            halves.writeInteger(bits, endianness: .little)
        }
        #expect(
            ExitConfidence.millionths(
                of: halves, type: .float16, measure: .probabilityMaximum) == 749_999)
        var doubles = ByteBuffer()
        for value in [0.2, 0.8] { doubles.writeInteger(value.bitPattern, endianness: .little) }
        #expect(
            ExitConfidence.millionths(
                of: doubles, type: .float64, measure: .probabilityMargin) == 600_000)
    }
}
