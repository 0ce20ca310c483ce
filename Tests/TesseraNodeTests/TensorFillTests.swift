import NIOCore
import TesseraCore
import Testing

@testable import TesseraNode

@Suite struct TensorFillTests {
    private func bytes<Value: FixedWidthInteger>(_ values: [Value]) -> ByteBuffer {
        var buffer = ByteBuffer()
        for value in values { buffer.writeInteger(value, endianness: .little) }
        return buffer
    }

    private func descriptor(_ type: ElementType) -> TensorDescriptor {
        TensorDescriptor(name: "branch", type: type, shape: [1, 3])
    }

    @Test("the mean is taken element by element, for each type of floats")
    func mean() {
        let values: [[Double]] = [[1, -2, 0.5], [3, 6, 0.25], [5, -1, 0]]
        let means: [Double] = [3, 1, 0.25]
        #expect(
            TensorFill.bytes(
                of: descriptor(.float16),
                mean: values.map { bytes($0.map { Float16($0).bitPattern }) })
                == bytes(means.map { Float16($0).bitPattern }))
        #expect(
            TensorFill.bytes(
                of: descriptor(.float32),
                mean: values.map { bytes($0.map { Float($0).bitPattern }) })
                == bytes(means.map { Float($0).bitPattern }))
        #expect(
            TensorFill.bytes(
                of: descriptor(.float64), mean: values.map { bytes($0.map(\.bitPattern)) })
                == bytes(means.map(\.bitPattern)))
    }

    @Test("without other branches it is zeros, as many as the tensor has")
    func zeros() {
        #expect(
            TensorFill.bytes(of: descriptor(.float32), mean: [])
                == ByteBuffer(repeating: 0, count: 12))
    }
}
