import NIOCore
import TesseraCore

/// What a client asked for in one inference call, read and checked (Open Inference Protocol with the
/// binary tensor extension).
struct InferenceCall: Sendable {
    /// An output that the client wants.
    struct Output: Hashable, Sendable {
        /// Index into the model's outputs.
        var index: Int
        /// Whether its values go behind the JSON instead of into it.
        var isBinary: Bool
    }

    /// Longer identities of requests are refused: they come back in every answer.
    static let idBytesMax = 1_024
    /// More items than this in one call are refused.
    static let itemsMax = 4_096

    /// The client's own name for the request.
    var id: String?
    /// How long the answer is worth waiting for.
    var deadline: TimeSpan?
    /// The outputs wanted, in the order asked for.
    var outputs: [Output]
    /// Whether the client named outputs: it then gets all that it named, whole.
    var namesOutputs = false
    /// What the client says of early exits.
    var exits = ExitWish.usual
    /// The items; each has one tensor for each input of the model, in the model's order.
    var items: [[InferenceTensor]]
    /// The client's trace, if it has one.
    var trace: TraceContext?
    /// Whether the shapes carry a batch dimension that the model does not have items for.
    var isBatch: Bool { items.count > 1 }
}

/// Checks inference calls against one model.
struct InferenceCallChecker: Sendable {
    /// The protocol's 0 is no limit; more than a day is no limit worth having.
    private static let microsecondsMax: Int64 = 86_400_000_000

    private struct Input {
        var name: String
        var shape: [Int]
        var bytes: ByteBuffer
    }

    private let model: ModelInformation

    /// A checker for calls of a model.
    init(_ model: ModelInformation) { self.model = model }

    /// The call that a draft describes.
    func check(_ draft: InferenceDraft) throws(APIError) -> InferenceCall {
        let inputs = try inputs(draft.inputs)
        return InferenceCall(
            id: try id(draft.id), deadline: try deadline(draft),
            outputs: try outputs(draft), namesOutputs: draft.outputs != nil, exits: draft.exits,
            items: try items(of: inputs))
    }

    private func id(_ text: String?) throws(APIError) -> String? {
        guard let text else { return nil }
        guard text.utf8.count <= InferenceCall.idBytesMax else {
            throw .badRequest("the id is longer than \(InferenceCall.idBytesMax) bytes")
        }
        return text
    }

    private func deadline(_ draft: InferenceDraft) throws(APIError) -> TimeSpan? {
        var least: Int64?
        if let microseconds = draft.timeoutMicroseconds {
            guard microseconds >= 0 else {
                throw .badRequest("the parameter timeout is not a whole number of microseconds")
            }
            if microseconds > 0 { least = microseconds }
        }
        if let microseconds = draft.transportMicroseconds {
            least = min(least ?? .max, max(microseconds, 1))
        }
        return least.map { .microseconds(min($0, Self.microsecondsMax)) }
    }

    private func outputs(_ draft: InferenceDraft) throws(APIError) -> [InferenceCall.Output] {
        guard let wanted = draft.outputs else {
            return model.outputs.indices.map {
                InferenceCall.Output(index: $0, isBinary: draft.isBinaryUsual)
            }
        }
        var result: [InferenceCall.Output] = []
        for output in wanted {
            let name = output.name
            guard let index = model.outputs.firstIndex(where: { $0.name == name }) else {
                let names = model.outputs.map(\.name).joined(separator: ", ")
                throw .badRequest(
                    "model \(model.name) has no output \"\(name.prefix(200))\"; it has \(names)")
            }
            guard !result.contains(where: { $0.index == index }) else {
                throw .badRequest("output \(name) is asked for twice")
            }
            result.append(
                InferenceCall.Output(
                    index: index, isBinary: output.isBinary ?? draft.isBinaryUsual))
        }
        guard !result.isEmpty else { throw .badRequest("the list of outputs is empty") }
        return result
    }

    private func inputs(_ given: [InferenceDraft.Input]) throws(APIError) -> [Input] {
        var found: [Input] = []
        for input in given {
            let name = input.name
            guard let descriptor = model.inputs.first(where: { $0.name == name }) else {
                let names = model.inputs.map(\.name).joined(separator: ", ")
                throw .badRequest(
                    "model \(model.name) has no input \"\(name.prefix(200))\"; it has \(names)")
            }
            guard !found.contains(where: { $0.name == name }) else {
                throw .badRequest("input \(name) is given twice")
            }
            found.append(try self.input(input, descriptor: descriptor))
        }
        var ordered: [Input] = []
        for descriptor in model.inputs {
            guard let input = found.first(where: { $0.name == descriptor.name }) else {
                throw .badRequest("input \(descriptor.name) is missing")
            }
            ordered.append(input)
        }
        return ordered
    }

    private func input(
        _ input: InferenceDraft.Input, descriptor: TensorDescriptor
    ) throws(APIError) -> Input {
        let name = descriptor.name
        let type = try type(input.datatype, descriptor: descriptor)
        let shape = try shape(input.shape, descriptor: descriptor)
        // The shape is the model's own but for the batch, so that this cannot overflow.
        let count = shape.reduce(1, *)
        let bytes: ByteBuffer
        do {
            switch input.values {
            case .missing:
                throw APIError.badRequest(
                    "input \(name) has no values: neither data nor binary_data_size, nor contents")
            case .text(let text): bytes = try TensorText.read(text, type: type, count: count)
            case .numbers(let numbers): bytes = try numbers.bytes(of: type, count: count)
            case .bytes(let given): bytes = given
            }
        } catch let error as TensorTextError {
            throw .badRequest("input \(name): \(error)")
        } catch let error as APIError {
            throw error
        } catch {
            throw .badRequest("input \(name) cannot be read")
        }
        guard bytes.readableBytes == count * type.byteCount else {
            throw .badRequest(
                "input \(name) has \(bytes.readableBytes) bytes (binary_data_size, "
                    + "raw_input_contents), and its shape and type take "
                    + "\(count * type.byteCount)")
        }
        return Input(name: name, shape: shape, bytes: bytes)
    }

    private func type(
        _ text: String?, descriptor: TensorDescriptor
    ) throws(APIError) -> ElementType {
        guard let text else { throw .badRequest("input \(descriptor.name) has no datatype") }
        guard let type = ElementType(protocolName: text) else {
            let why =
                text == "BYTES"
                ? "models here have numbers only: send each string's numbers as the model takes "
                    + "them, \(descriptor.type.protocolName)"
                : "the types are "
                    + ElementType.allCases.map(\.protocolName).joined(separator: ", ")
            throw .badRequest(
                "input \(descriptor.name) has datatype \"\(text.prefix(40))\", which is not "
                    + "supported; \(why)")
        }
        guard type == descriptor.type else {
            throw .badRequest(
                "input \(descriptor.name) has datatype \(text), and the model takes "
                    + "\(descriptor.type.protocolName)")
        }
        return type
    }

    /// The given shape: the model's own, or a batch of items where the model has one.
    private func shape(
        _ shape: [Int]?, descriptor: TensorDescriptor
    ) throws(APIError) -> [Int] {
        guard let shape else { throw .badRequest("input \(descriptor.name) has no shape") }
        if shape == descriptor.shape { return shape }
        let takesBatch = descriptor.shape.first == 1 && !shape.isEmpty
        if takesBatch, shape.dropFirst() == descriptor.shape.dropFirst(),
            (1...InferenceCall.itemsMax).contains(shape[0])
        {
            return shape
        }
        let given = shape.prefix(16).map { $0 < 0 ? "?" : "\($0)" }.joined(separator: ", ")
        let most = takesBatch ? ", or up to \(InferenceCall.itemsMax) such items" : ""
        throw .badRequest(
            "input \(descriptor.name) has shape [\(given)], and the model takes "
                + "\(descriptor.shape)\(most)")
    }

    /// Splits a batch into items, without copying values.
    private func items(of inputs: [Input]) throws(APIError) -> [[InferenceTensor]] {
        var count = 1
        for (input, descriptor) in zip(inputs, model.inputs) where input.shape != descriptor.shape {
            count = input.shape[0]
        }
        if count > 1 {
            for (input, descriptor) in zip(inputs, model.inputs)
            where descriptor.shape.first != 1 || input.shape.first != count {
                throw .badRequest(
                    "the inputs are not a batch of \(count) items: input \(input.name) has shape "
                        + "\(input.shape), and the model takes \(descriptor.shape) per item")
            }
            for output in model.outputs where output.shape.first != 1 {
                throw .badRequest(
                    "answers of model \(model.name) cannot be joined to a batch: output "
                        + "\(output.name) has shape \(output.shape); send one item at a time")
            }
        }
        var result: [[InferenceTensor]] = []
        for item in 0..<count {
            result.append(
                zip(inputs, model.inputs).map { input, descriptor in
                    let byteCount = descriptor.byteCount
                    let slice = input.bytes.getSlice(
                        at: input.bytes.readerIndex + item * byteCount, length: byteCount)
                    return InferenceTensor(
                        descriptor: descriptor, bytes: slice ?? ByteBuffer())
                })
        }
        return result
    }
}
