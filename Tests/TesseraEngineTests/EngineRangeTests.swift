import TesseraCore
import TesseraEngine
import Testing

@Suite("Numbers beyond the engine's")
struct EngineRangeTests {
    private func excess<Number: BitwiseCopyable>(
        _ numbers: [Number], _ type: ElementType
    ) -> EngineRange.Excess? {
        numbers.withUnsafeBytes { EngineRange.excess(in: $0, of: type) }
    }

    @Test("integers of 64 bits are taken as far as 32 bits hold them")
    func limits() {
        let (least, most) = (Int64(Int32.min), Int64(Int32.max))
        #expect(excess([0, least, most, -1], .int64) == nil)
        let above = excess([0, most + 1, least - 1], .int64)
        #expect(above?.index == 1 && above?.value == "2147483648")
        #expect(excess([least - 1], .int64)?.value == "-2147483649")
        #expect(excess([UInt64(most), 0], .uint64) == nil)
        #expect(excess([0, 1, UInt64.max], .uint64)?.index == 2)
    }

    @Test("other types are taken as they are")
    func others() {
        for type in ElementType.allCases where type != .int64 && type != .uint64 {
            #expect(excess([UInt8](repeating: 0xFF, count: 16), type) == nil, "\(type)")
        }
    }
}
