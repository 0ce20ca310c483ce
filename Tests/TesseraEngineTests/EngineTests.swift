import Dispatch
import Synchronization
import TesseraCore
import TesseraEngine
import Testing

@Suite("Compiling and running a fragment")
struct EngineTests {
    private func failure(_ body: () throws -> Void) -> EngineError? {
        do {
            try body()
            return nil
        } catch {
            return error as? EngineError
        }
    }

    @Test("A fragment computes exactly")
    func computesExactly() throws {
        let fragment = try Engine(threads: 1).compile(
            IRText.affine(factor: 2, offset: 0.5), concurrency: 1)
        #expect(fragment.inputs == [TensorDescriptor(name: "x", type: .float32, shape: [1, 4])])
        #expect(fragment.outputs == [TensorDescriptor(name: "sum", type: .float32, shape: [1, 4])])
        #expect(try fragment.run(floats: [[1, -2, 3.25, 0]]) == [[2.5, -3.5, 7, 0.5]])
        #expect(try fragment.run(floats: [[10, 20, 30, 40]]) == [[20.5, 40.5, 60.5, 80.5]])
    }

    @Test("Inputs and outputs stand in the text's order, whatever the graph's order")
    func keepsTextOrder() throws {
        var text = IRText()
        let unused = text.parameter("first", [1])
        let late = text.parameter("second", [2])
        let early = text.parameter("third", [2])
        let difference = text.layer(
            "difference", "Subtract", "<data auto_broadcast=\"numpy\"/>", [early, late], shape: [2])
        let relu = text.layer("relu", "ReLU", "", [unused], shape: [1])
        text.result(relu)
        text.result(difference)
        text.result(difference)
        let fragment = try Engine(threads: 1).compile(text.source(), concurrency: 1)
        #expect(fragment.inputs.map(\.name) == ["first", "second", "third"])
        #expect(fragment.outputs.map(\.name) == ["relu", "difference", "difference"])
        let results = try fragment.run(floats: [[-1], [1, 2], [10, 20]])
        #expect(results == [[0], [9, 18], [9, 18]])
    }

    @Test("A tensor may pass through a fragment untouched, beside operators that read it")
    func passesThrough() throws {
        var text = IRText()
        let x = text.parameter("x", [3])
        let relu = text.layer("relu", "ReLU", "", [x], shape: [3])
        text.result(relu)
        text.result(x)
        text.result(text.layer("again", "ReLU", "", [relu], shape: [3]))
        let fragment = try Engine(threads: 1).compile(text.source(), concurrency: 1)
        for offset in [Float(0), 5] {
            let input = [-1 + offset, 0 + offset, 1 + offset]
            let positive = input.map { max(0, $0) }
            #expect(try fragment.run(floats: [input]) == [positive, input, positive])
        }
    }

    @Test("A run leaves its inputs as they are")
    func leavesInputs() throws {
        var text = IRText()
        let x = text.parameter("x", [3])
        text.result(x)
        text.result(text.layer("relu", "ReLU", "", [x], shape: [3]))
        let fragment = try Engine(threads: 1).compile(text.source(), concurrency: 1)
        let input: [Float] = [-1, 0, 1]
        var same: [Float] = [7, 7, 7]
        var positive: [Float] = [7, 7, 7]
        try input.withUnsafeBytes { input in
            try same.withUnsafeMutableBytes { same in
                try positive.withUnsafeMutableBytes { positive in
                    try fragment.run(inputs: [input], outputs: [same, positive])
                }
            }
        }
        #expect(input == [-1, 0, 1])
        #expect(same == [-1, 0, 1])
        #expect(positive == [0, 0, 1])
    }

    @Test(
        "Every element type goes in and out unharmed",
        arguments: [
            ("boolean", "BOOL", ElementType.boolean), ("i8", "I8", .int8), ("i16", "I16", .int16),
            ("i32", "I32", .int32), ("i64", "I64", .int64), ("u8", "U8", .uint8),
            ("u16", "U16", .uint16), ("u32", "U32", .uint32), ("u64", "U64", .uint64),
            ("f16", "FP16", .float16), ("bf16", "BF16", .bfloat16), ("f32", "FP32", .float32),
            ("f64", "FP64", .float64),
        ])
    func carriesType(name: String, precision: String, type: ElementType) throws {
        var text = IRText()
        let x = text.parameter("x", [1, 4], type: name, precision: precision)
        let axes = text.indices("axes", [1], [0])
        text.result(
            text.layer("y", "Squeeze", "", [x, axes], shape: [4], precision: precision))
        let fragment = try Engine(threads: 1).compile(text.source(), concurrency: 1)
        #expect(fragment.inputs[0].type == type)
        #expect(fragment.outputs[0].type == type)
        // One value that every type can hold and that is no other type's one: 0 and 1.
        let one: [UInt8] =
            switch type {
            case .float16: [0x00, 0x3C]
            case .bfloat16: [0x80, 0x3F]
            case .float32: bytes(of: [Float(1)])
            case .float64: bytes(of: [Double(1)])
            default: [1] + [UInt8](repeating: 0, count: type.byteCount - 1)
            }
        let zero = [UInt8](repeating: 0, count: type.byteCount)
        let given = one + zero + one + one
        #expect(try fragment.run([given]) == [given])
    }

    @Test("Scalars are tensors of one element")
    func carriesScalars() throws {
        var text = IRText()
        let x = text.parameter("x", [])
        text.result(text.layer("relu", "ReLU", "", [x], shape: []))
        let fragment = try Engine(threads: 1).compile(text.source(), concurrency: 1)
        #expect(fragment.inputs[0].shape == [])
        #expect(try fragment.run(floats: [[-3]]) == [[0]])
    }

    @Test("Wrong counts and sizes are refused, and the fragment still works")
    func refusesWrongSizes() throws {
        let fragment = try Engine(threads: 1).compile(
            IRText.affine(factor: 2, offset: 0), concurrency: 1)
        #expect(
            failure { _ = try fragment.run(floats: [[1, 2, 3]]) }
                == .wrongByteCount(tensor: "x", expected: 16, given: 12))
        #expect(
            failure { _ = try fragment.run(floats: []) }
                == .wrongTensorCount(direction: .input, expected: 1, given: 0))
        let input = [Float](repeating: 1, count: 4)
        input.withUnsafeBytes { bytes in
            #expect(
                failure { try fragment.run(inputs: [bytes], outputs: []) }
                    == .wrongTensorCount(direction: .output, expected: 1, given: 0))
            var small = [Float](repeating: 0, count: 3)
            small.withUnsafeMutableBytes { output in
                #expect(
                    failure { try fragment.run(inputs: [bytes], outputs: [output]) }
                        == .wrongByteCount(tensor: "sum", expected: 16, given: 12))
            }
        }
        #expect(try fragment.run(floats: [[1, 2, 3, 4]]) == [[2, 4, 6, 8]])
    }

    @Test("Texts that are no model are refused")
    func refusesGarbage() throws {
        let engine = try Engine(threads: 1)
        let nothing = try WeightBuffer(byteCount: 0)
        let good = try IRText.affine(factor: 2, offset: 0)
        let texts: [[UInt8]] = [
            [], [0], Array("<net".utf8), Array("<net name=\"x\" version=\"11\"></net>".utf8),
            (0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 131) },
            Array(good.xml.prefix(good.xml.count / 2)),
        ]
        for text in texts {
            let error = failure {
                _ = try engine.compile(
                    FragmentSource(xml: text, weights: nothing), concurrency: 1)
            }
            guard case .unreadable(let reason) = error else {
                Issue.record("\(String(describing: error)) for \(text.prefix(40))")
                continue
            }
            #expect(!reason.isEmpty)
        }
    }

    @Test("Constants beyond the given weights are refused")
    func refusesShortWeights() throws {
        let engine = try Engine(threads: 1)
        let good = try IRText.affine(factor: 2, offset: 0)
        for byteCount in [0, 4] {
            let short = FragmentSource(
                xml: good.xml, weights: try WeightBuffer(byteCount: byteCount))
            let error = failure { _ = try engine.compile(short, concurrency: 1) }
            guard case .unreadable = error else {
                Issue.record("\(String(describing: error)) for \(byteCount) bytes")
                continue
            }
        }
    }

    @Test("Shapes that are not fixed, and empty ones, are refused with the tensor's name")
    func refusesOddShapes() throws {
        let engine = try Engine(threads: 1)
        var dynamic = IRText()
        dynamic.result(
            dynamic.layer("relu", "ReLU", "", [dynamic.parameter("x", [-1, 4])], shape: [-1, 4]))
        let free = try dynamic.source()
        #expect(
            failure { _ = try engine.compile(free, concurrency: 1) } == .dynamicShape(tensor: "x"))
        var empty = IRText()
        empty.result(
            empty.layer("relu", "ReLU", "", [empty.parameter("x", [0, 4])], shape: [0, 4]))
        let none = try empty.source()
        #expect(
            failure { _ = try engine.compile(none, concurrency: 1) } == .emptyTensor(tensor: "x"))
    }

    @Test("Settings out of range are refused")
    func refusesSettings() throws {
        #expect(
            failure { _ = try Engine(threads: 0) }
                == .badSetting(name: "threads", value: 0, allowed: Engine.threadsAllowed))
        let engine = try Engine(threads: 1)
        let source = try IRText.affine(factor: 1, offset: 0)
        #expect(
            failure { _ = try engine.compile(source, concurrency: 0) }
                == .badSetting(name: "concurrency", value: 0, allowed: Engine.concurrencyAllowed))
    }

    @Test("Many threads at once each get their own result", arguments: [(1, 1), (2, 1), (2, 2)])
    func runsConcurrently(threads: Int, concurrency: Int) throws {
        let fragment = try Engine(threads: threads).compile(
            IRText.affine(factor: 3, offset: 1), concurrency: concurrency)
        #expect(fragment.concurrency == concurrency)
        let wrong = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 8) { caller in
            for turn in 0..<200 {
                let x = Float(caller * 1_000 + turn)
                let expected = [3 * x + 1, 1, 3, -3 * x + 1]
                do {
                    let result = try fragment.run(floats: [[x, 0, 2.0 / 3, -x]])
                    // 3 * (2/3) + 1 is exactly 3 in this rounding.
                    if result != [expected] { wrong.withLock { $0.append("\(x): \(result)") } }
                } catch {
                    wrong.withLock { $0.append("\(x): \(error)") }
                }
            }
        }
        #expect(wrong.withLock { $0 } == [])
    }

    @Test("A fragment keeps its weights and its engine's core alive")
    func keepsWeightsAlive() throws {
        let fragment: CompiledFragment
        do {
            fragment = try Engine(threads: 1).compile(
                IRText.affine(factor: 4, offset: 2), concurrency: 1)
        }
        #expect(try fragment.run(floats: [[1, 2, 3, 4]]) == [[6, 10, 14, 18]])
    }

    @Test("One and two threads give the same bits")
    func bitsDoNotDependOnThreads() throws {
        let source = try importModel(fixture("network.onnx"))
        let image = try floats(inFixture: "network.image.f32")
        let one = try Engine(threads: 1).compile(source, concurrency: 1).run(floats: [image])
        let two = try Engine(threads: 2).compile(source, concurrency: 1).run(floats: [image])
        #expect(one == two)
    }

    @Test("The fingerprint names version, instructions and settings, and is the same each time")
    func fingerprintIsStable() throws {
        let first = try Engine(threads: 1).fingerprint
        #expect(first == (try Engine(threads: 2).fingerprint))
        #expect(first.text.hasPrefix("openvino 20"))
        #expect(first.text.contains("INFERENCE_PRECISION_HINT=f32"))
        #expect(!first.text.contains("\n"))
    }

    @Test("The measured rates are those of a computer")
    func measures() throws {
        let engine = try Engine(threads: 1)
        let rates = try engine.measure()
        // 100 MFLOP/s to 10 TFLOP/s; 100 MB/s to 1 TB/s.
        #expect((100...10_000_000).contains(rates.operationsPerMicrosecond))
        #expect((100...1_000_000).contains(rates.movedBytesPerMicrosecond))
        #expect(rates.rates.map(\.family) == OperatorFamily.allCases)
        for rate in rates.rates {
            #expect((10...10_000_000).contains(rate.operationsPerMicrosecond), "\(rate.family)")
        }
        let other = EngineSpeed(
            operationsPerMicrosecond: rates.operationsPerMicrosecond * 3, rates: rates.rates,
            movedBytesPerMicrosecond: rates.movedBytesPerMicrosecond)
        #expect(try !engine.confirms(other))
    }
}
