import NIOCore
import TesseraCodec
import TesseraCore
import TesseraEngine

/// Runs a model stage by stage, with tensors packed on their way between them.
struct CalibrationRunner {
    let outline: ModelOutline
    let stages: [Range<Int>]
    let fragments: [CompiledFragment]
    private let reads: [[Int]]
    private let makes: [[Int]]

    init(outline: ModelOutline, stages: [Range<Int>], fragments: [CompiledFragment]) {
        self.outline = outline
        self.stages = stages
        self.fragments = fragments
        reads = stages.map { outline.inputTensors(of: $0) }
        makes = stages.map { outline.outputTensors(of: $0) }
    }

    /// A tensor after its way; nil if the codec cannot hold its values.
    func packed(_ plain: ByteBuffer, _ tensor: Int, by codec: Codec) -> ByteBuffer? {
        let descriptor = outline.tensors[tensor].descriptor
        guard
            let packed = TensorCodec.pack(
                plain, type: descriptor.type, shape: descriptor.shape, by: codec)
        else { return nil }
        // What was packed a moment ago can be unpacked.
        return try? TensorCodec.unpack(
            packed, type: descriptor.type, shape: descriptor.shape, by: codec)
    }

    /// Runs an item; each tensor of `packing` is packed by its codec once it is made.
    ///
    /// One whose values the codec cannot hold goes as it is, as it would from node to node.
    func run(
        _ inputs: Calibration.Values, packing: [Int: Codec] = [:]
    ) throws -> Calibration.Values {
        var values = inputs
        func pass(_ tensor: Int) {
            guard let codec = packing[tensor], let plain = values[tensor] else { return }
            values[tensor] = packed(plain, tensor, by: codec) ?? plain
        }
        for tensor in outline.inputs { pass(tensor) }
        for stage in stages.indices {
            try step(stage, &values)
            for tensor in makes[stage] { pass(tensor) }
        }
        return values
    }

    /// The outputs of an item of which one tensor has other values; `values` are those of a whole run.
    func run(
        _ values: Calibration.Values, changing tensor: Int, to changed: ByteBuffer
    ) throws -> [ByteBuffer] {
        var values = values
        values[tensor] = changed
        // Stages before the first reader, and those that read nothing new, give what they gave.
        var isNew = Set([tensor])
        for stage in stages.indices where reads[stage].contains(where: isNew.contains) {
            try step(stage, &values)
            isNew.formUnion(makes[stage])
        }
        return outline.outputs.compactMap { values[$0] }
    }

    private func step(_ stage: Int, _ values: inout Calibration.Values) throws {
        let fragment = fragments[stage]
        let inputs = reads[stage].map { values[$0] ?? ByteBuffer() }
        var outputs = fragment.outputs.map { descriptor in
            var buffer = ByteBufferAllocator().buffer(capacity: descriptor.byteCount)
            buffer.moveWriterIndex(forwardBy: descriptor.byteCount)
            return buffer
        }
        func lend(
            _ index: Int, _ read: [UnsafeRawBufferPointer],
            _ written: [UnsafeMutableRawBufferPointer]
        ) throws {
            if index < inputs.count {
                try inputs[index].withUnsafeReadableBytes {
                    try lend(index + 1, read + [$0], written)
                }
            } else if index < inputs.count + outputs.count {
                var buffer = ByteBuffer()
                swap(&buffer, &outputs[index - inputs.count])
                try buffer.withUnsafeMutableReadableBytes {
                    try lend(index + 1, read, written + [$0])
                }
                swap(&buffer, &outputs[index - inputs.count])
            } else {
                try fragment.run(inputs: read, outputs: written)
            }
        }
        try lend(0, [], [])
        for (tensor, bytes) in zip(makes[stage], outputs) { values[tensor] = bytes }
    }
}
