import Testing

@testable import TesseraEngine

@Suite("Estimating a fragment's memory")
struct MemoryEstimateTests {
    @Test("A chain holds at most the input and the output of one operator")
    func countsChain() throws {
        var text = IRText()
        var tensor = text.parameter("x", [1, 256])
        for index in 0..<10 {
            tensor = text.layer("relu\(index)", "ReLU", "", [tensor], shape: [1, 256])
        }
        text.result(tensor)
        #expect(MemoryEstimate.peakTensorBytes(xml: try text.source().xml) == 2 * 1_024)
    }

    @Test("A tensor that is read late counts until then; constants do not count")
    func countsLongLife() throws {
        var text = IRText()
        let x = text.parameter("x", [1, 256])
        let constant = text.constant("c", [1, 256], [Float](repeating: 1, count: 256))
        let first = text.layer(
            "first", "Add", "<data auto_broadcast=\"numpy\"/>", [x, constant], shape: [1, 256])
        let second = text.layer("second", "ReLU", "", [first], shape: [1, 256])
        let third = text.layer(
            "third", "Add", "<data auto_broadcast=\"numpy\"/>", [second, x], shape: [1, 256])
        text.result(third)
        let source = try text.source()
        #expect(MemoryEstimate.peakTensorBytes(xml: source.xml) == 3 * 1_024)
        let one = MemoryEstimate.bytes(of: source, streams: 1)
        #expect(MemoryEstimate.bytes(of: source, streams: 3) == one + 2 * 3 * 1_024)
        #expect(one > 2 * 1_024 + 3 * 1_024)
    }

    @Test("Any bytes give an estimate")
    func survivesGarbage() {
        var state: UInt64 = 1
        let alphabet = Array("<>/\"'=layerportdimedge outputid 0129\u{0}\n".utf8)
        for _ in 0..<2_000 {
            var text: [UInt8] = []
            for _ in 0..<200 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text.append(alphabet[Int(state >> 33) % alphabet.count])
            }
            #expect(MemoryEstimate.peakTensorBytes(xml: text) >= 0)
        }
        let huge = """
            <layer id="0" type="X"><output><port id="0" precision="FP32">\
            <dim>9999999999999</dim><dim>9999999999999</dim></port></output></layer>
            """
        #expect(MemoryEstimate.peakTensorBytes(xml: Array(huge.utf8)) > 1 << 40)
    }
}
