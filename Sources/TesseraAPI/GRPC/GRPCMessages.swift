#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
import InferenceProtocol
import NIOCore
import SwiftProtobuf
import TesseraCore

extension Inference_ModelInferRequest {
    /// About how many bytes of values have to be read one by one.
    var typedBytes: Int {
        inputs.reduce(0) { sum, input in
            guard input.hasContents else { return sum }
            let contents = input.contents
            return sum + contents.boolContents.count
                + 4 * (contents.intContents.count + contents.uintContents.count)
                + 4 * contents.fp32Contents.count
                + 8 * (contents.int64Contents.count + contents.uint64Contents.count)
                + 8 * contents.fp64Contents.count
        }
    }

    /// What the request asks for.
    func draft() throws(APIError) -> InferenceDraft {
        try InferenceParameters.check(parameters.keys.sorted())
        guard rawInputContents.isEmpty || rawInputContents.count == inputs.count else {
            throw .badRequest(
                "there are \(rawInputContents.count) raw_input_contents for \(inputs.count) inputs")
        }
        var drafts: [InferenceDraft.Input] = []
        for (index, input) in inputs.enumerated() {
            try InferenceParameters.check(input.parameters.keys.sorted())
            drafts.append(
                InferenceDraft.Input(
                    name: input.name, datatype: input.datatype.isEmpty ? nil : input.datatype,
                    shape: input.shape.map { Int(exactly: $0) ?? -1 },
                    values: try values(of: index)))
        }
        return InferenceDraft(
            id: id.isEmpty ? nil : id, timeoutMicroseconds: try timeout(),
            outputs: outputs.isEmpty ? nil : try wanted(), isBinaryUsual: true,
            exits: try exitWish(), inputs: drafts)
    }

    private func wanted() throws(APIError) -> [InferenceDraft.Output] {
        var result: [InferenceDraft.Output] = []
        for output in outputs {
            try InferenceParameters.check(output.parameters.keys.sorted())
            result.append(InferenceDraft.Output(name: output.name, isBinary: true))
        }
        return result
    }

    private func values(of index: Int) throws(APIError) -> InferenceDraft.Values {
        let input = inputs[index]
        guard rawInputContents.isEmpty else {
            guard !input.hasContents else {
                throw .badRequest(
                    "input \(input.name.prefix(200)) has both contents and raw_input_contents")
            }
            return .bytes(ByteBuffer(bytes: rawInputContents[index]))
        }
        guard input.hasContents else { return .missing }
        return try input.contents.values(of: input.name)
    }

    private func exitWish() throws(APIError) -> ExitWish {
        switch parameters[InferenceParameters.exit]?.parameterChoice {
        case nil: return .usual
        case .boolParam(let flag): return flag ? .usual : .none
        case .doubleParam(let number): return try InferenceParameters.wish(threshold: number)
        default: throw InferenceParameters.wrongExit
        }
    }

    private func timeout() throws(APIError) -> Int64? {
        switch parameters["timeout"]?.parameterChoice {
        case nil: return nil
        case .int64Param(let microseconds): return microseconds
        case .uint64Param(let microseconds): return Int64(clamping: microseconds)
        default:
            throw .badRequest("the parameter timeout is not a whole number of microseconds")
        }
    }
}

extension Inference_InferTensorContents {
    /// The one list that has values.
    fileprivate func values(of name: String) throws(APIError) -> InferenceDraft.Values {
        guard bytesContents.isEmpty else {
            throw .badRequest(
                "input \(name.prefix(200)) has bytes_contents; models here have numbers only")
        }
        let lists: [(count: Int, numbers: TensorNumbers)] = [
            (boolContents.count, .booleans(boolContents)),
            (intContents.count, .signed(intContents)),
            (int64Contents.count, .signed64(int64Contents)),
            (uintContents.count, .unsigned(uintContents)),
            (uint64Contents.count, .unsigned64(uint64Contents)),
            (fp32Contents.count, .floats(fp32Contents)),
            (fp64Contents.count, .doubles(fp64Contents)),
        ]
        let filled = lists.filter { $0.count > 0 }
        guard filled.count <= 1 else {
            throw .badRequest("input \(name.prefix(200)) has contents of more than one type")
        }
        return filled.first.map { .numbers($0.numbers) } ?? .missing
    }
}

extension Inference_ModelInferResponse {
    /// The message that carries a result.
    init(_ result: InferenceResult) {
        self.init()
        modelName = result.model
        modelVersion = ModelVersion.only
        id = result.id ?? ""
        parameters = [
            "tessera_request": .with { $0.stringParam = result.requests.joined(separator: ",") },
            "tessera_plan": .with { $0.stringParam = result.plans.joined(separator: ",") },
            "tessera_node": .with { $0.stringParam = result.node },
            "tessera_attempts": .with { $0.int64Param = Int64(result.attempts) },
        ]
        if let exits = result.exits {
            parameters["tessera_exit"] = .with { $0.stringParam = exits.joined(separator: ",") }
            parameters["tessera_confidences"] = .with {
                $0.stringParam = result.confidences.joined(separator: ",")
            }
        }
        if let leftOut = result.leftOut {
            parameters[InferenceParameters.leftOut] = .with {
                $0.stringParam = leftOut.joined(separator: ",")
            }
        }
        for output in result.outputs {
            outputs.append(
                .with {
                    $0.name = output.descriptor.name
                    $0.datatype = output.descriptor.type.protocolName
                    $0.shape = output.shape.map(Int64.init)
                })
            var data = Data(capacity: output.byteCount)
            for part in output.parts {
                part.withUnsafeReadableBytes { data.append(contentsOf: $0) }
            }
            rawOutputContents.append(data)
        }
    }
}

extension Inference_ModelMetadataResponse {
    /// The message that describes a model.
    init(_ model: ModelInformation) {
        self.init()
        func tensors(_ descriptors: [TensorDescriptor]) -> [TensorMetadata] {
            descriptors.map { descriptor in
                .with {
                    $0.name = descriptor.name
                    $0.datatype = descriptor.type.protocolName
                    $0.shape = descriptor.shape.map(Int64.init)
                }
            }
        }
        name = model.name
        versions = [ModelVersion.only]
        platform = InferenceService.platform
        inputs = tensors(model.inputs)
        outputs = tensors(model.outputs)
    }
}

extension Inference_ModelConfig {
    /// The least of Triton's model configuration that its clients look at.
    init(_ model: ModelInformation) {
        self.init()
        name = model.name
        platform = InferenceService.platform
        backend = "openvino"
        input = model.inputs.map { descriptor in
            .with {
                $0.name = descriptor.name
                $0.dataType = descriptor.type.configurationType
                $0.dims = descriptor.shape.map(Int64.init)
            }
        }
        output = model.outputs.map { descriptor in
            .with {
                $0.name = descriptor.name
                $0.dataType = descriptor.type.configurationType
                $0.dims = descriptor.shape.map(Int64.init)
            }
        }
    }
}

extension ElementType {
    /// The type in a model's configuration.
    fileprivate var configurationType: Inference_DataType {
        switch self {
        case .boolean: .typeBool
        case .int8: .typeInt8
        case .int16: .typeInt16
        case .int32: .typeInt32
        case .int64: .typeInt64
        case .uint8: .typeUint8
        case .uint16: .typeUint16
        case .uint32: .typeUint32
        case .uint64: .typeUint64
        case .float16: .typeFp16
        case .bfloat16: .typeBf16
        case .float32: .typeFp32
        case .float64: .typeFp64
        }
    }
}
