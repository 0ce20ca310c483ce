import Hummingbird
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
    /// The items; each has one tensor for each input of the model, in the model's order.
    var items: [[InferenceTensor]]
    /// Whether the shapes carry a batch dimension that the model does not have items for.
    var isBatch: Bool { items.count > 1 }
}

/// Reads inference calls for one model.
struct InferenceCallReader: Sendable {
    private struct Input {
        var name: String
        var type: ElementType
        var shape: [Int]
        var bytes: ByteBuffer
    }

    private let model: ModelInformation

    /// A reader for calls of a model.
    init(_ model: ModelInformation) { self.model = model }

    /// Reads a body whose first `headerLength` bytes are JSON; nil if all of it is.
    func read(_ body: ByteBuffer, headerLength: Int?) throws(APIError) -> InferenceCall {
        var body = body
        let length = headerLength ?? body.readableBytes
        guard let text = body.readBytes(length: length) else {
            throw .badRequest(
                "Inference-Header-Content-Length is \(length), and the body has only "
                    + "\(body.readableBytes) bytes")
        }
        let header: JSONValue
        do {
            header = try JSONReader.read(text, textMember: "data")
        } catch {
            throw .badRequest("the request is not valid JSON: \(error)")
        }
        guard case .object = header else {
            throw .badRequest("the request is not a JSON object")
        }
        let inputs = try readInputs(
            header, binary: &body, allowsBinary: headerLength != nil)
        guard body.readableBytes == 0 else {
            throw .badRequest(
                "\(body.readableBytes) bytes follow the last input's binary data")
        }
        let parameters = try members(header["parameters"], of: "the request")
        return InferenceCall(
            id: try readID(header["id"]), deadline: try readDeadline(parameters["timeout"]),
            outputs: try readOutputs(header["outputs"], parameters: parameters),
            items: try items(of: inputs))
    }

    private func members(
        _ parameters: JSONValue?, of owner: String
    ) throws(APIError) -> JSONValue {
        guard let parameters else { return [:] }
        guard case .object(let members) = parameters else {
            throw .badRequest("the parameters of \(owner) are not an object")
        }
        if members.contains(where: { $0.name.hasPrefix("shared_memory") }) {
            throw .badRequest("shared memory is not supported; send the data themselves")
        }
        return parameters
    }

    private func readID(_ value: JSONValue?) throws(APIError) -> String? {
        guard let value, value != .null else { return nil }
        guard let id = value.stringValue, id.utf8.count <= InferenceCall.idBytesMax else {
            throw .badRequest(
                "the id is not a string of at most \(InferenceCall.idBytesMax) bytes")
        }
        return id
    }

    private func readDeadline(_ value: JSONValue?) throws(APIError) -> TimeSpan? {
        guard let value else { return nil }
        guard let microseconds = value.integerValue, microseconds >= 0 else {
            throw .badRequest("the parameter timeout is not a whole number of microseconds")
        }
        // The protocol's 0 is no limit; more than a day is no limit worth having.
        if microseconds == 0 { return nil }
        return .microseconds(min(microseconds, 86_400_000_000))
    }

    private func readOutputs(
        _ value: JSONValue?, parameters: JSONValue
    ) throws(APIError) -> [InferenceCall.Output] {
        let isBinaryUsual = try readFlag(parameters["binary_data_output"], "binary_data_output")
        guard let value else {
            return model.outputs.indices.map {
                InferenceCall.Output(index: $0, isBinary: isBinaryUsual ?? false)
            }
        }
        guard let wanted = value.arrayValue else {
            throw .badRequest("the outputs are not an array")
        }
        var result: [InferenceCall.Output] = []
        for output in wanted {
            guard let name = output["name"]?.stringValue else {
                throw .badRequest("an output has no name")
            }
            guard let index = model.outputs.firstIndex(where: { $0.name == name }) else {
                let names = model.outputs.map(\.name).joined(separator: ", ")
                throw .badRequest(
                    "model \(model.name) has no output \"\(name.prefix(200))\"; it has \(names)")
            }
            guard !result.contains(where: { $0.index == index }) else {
                throw .badRequest("output \(name) is asked for twice")
            }
            let own = try members(output["parameters"], of: "output \(name)")
            if own["classification"] != nil {
                throw .badRequest("the classification extension is not supported")
            }
            let isBinary = try readFlag(own["binary_data"], "binary_data")
            result.append(
                InferenceCall.Output(index: index, isBinary: isBinary ?? isBinaryUsual ?? false))
        }
        guard !result.isEmpty else { throw .badRequest("the list of outputs is empty") }
        return result
    }

    private func readFlag(_ value: JSONValue?, _ name: String) throws(APIError) -> Bool? {
        guard let value else { return nil }
        guard let flag = value.booleanValue else {
            throw .badRequest("the parameter \(name) is neither true nor false")
        }
        return flag
    }

    private func readInputs(
        _ header: JSONValue, binary: inout ByteBuffer, allowsBinary: Bool
    ) throws(APIError) -> [Input] {
        guard let values = header["inputs"]?.arrayValue else {
            throw .badRequest("the request has no array of inputs")
        }
        var found: [Input] = []
        for value in values {
            guard let name = value["name"]?.stringValue else {
                throw .badRequest("an input has no name")
            }
            guard let descriptor = model.inputs.first(where: { $0.name == name }) else {
                let names = model.inputs.map(\.name).joined(separator: ", ")
                throw .badRequest(
                    "model \(model.name) has no input \"\(name.prefix(200))\"; it has \(names)")
            }
            guard !found.contains(where: { $0.name == name }) else {
                throw .badRequest("input \(name) is given twice")
            }
            found.append(
                try readInput(
                    value, descriptor: descriptor, binary: &binary, allowsBinary: allowsBinary))
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

    private func readInput(
        _ value: JSONValue, descriptor: TensorDescriptor, binary: inout ByteBuffer,
        allowsBinary: Bool
    ) throws(APIError) -> Input {
        let name = descriptor.name
        let type = try readType(value["datatype"], descriptor: descriptor)
        let shape = try readShape(value["shape"], descriptor: descriptor)
        // The shape is the model's own but for the batch, so that this cannot overflow.
        let count = shape.reduce(1, *)
        let byteCount = count * type.byteCount
        let parameters = try members(value["parameters"], of: "input \(name)")
        if let size = parameters["binary_data_size"] {
            guard allowsBinary else {
                throw .badRequest(
                    "input \(name) has binary data, and the request has no "
                        + "Inference-Header-Content-Length header")
            }
            guard value["data"] == nil else {
                throw .badRequest("input \(name) has both data and binary data")
            }
            guard size.integerValue == Int64(byteCount) else {
                throw .badRequest(
                    "the binary_data_size of input \(name) is not the \(byteCount) bytes that its "
                        + "shape and type take")
            }
            guard let bytes = binary.readSlice(length: byteCount) else {
                throw .badRequest(
                    "the body ends within input \(name): it needs \(byteCount) bytes, and "
                        + "\(binary.readableBytes) are left")
            }
            return Input(name: name, type: type, shape: shape, bytes: bytes)
        }
        guard case .text(let text) = value["data"] else {
            throw .badRequest("input \(name) has neither data nor binary_data_size")
        }
        do {
            let bytes = try TensorText.read(text, type: type, count: count)
            return Input(name: name, type: type, shape: shape, bytes: bytes)
        } catch {
            throw .badRequest("input \(name): \(error)")
        }
    }

    private func readType(
        _ value: JSONValue?, descriptor: TensorDescriptor
    ) throws(APIError) -> ElementType {
        guard let text = value?.stringValue else {
            throw .badRequest("input \(descriptor.name) has no datatype")
        }
        guard let type = ElementType(protocolName: text) else {
            throw .badRequest(
                "input \(descriptor.name) has datatype \"\(text.prefix(40))\", which is not "
                    + "supported")
        }
        guard type == descriptor.type else {
            throw .badRequest(
                "input \(descriptor.name) has datatype \(text), and the model takes "
                    + "\(descriptor.type.protocolName)")
        }
        return type
    }

    /// The given shape: the model's own, or a batch of items where the model has one.
    private func readShape(
        _ value: JSONValue?, descriptor: TensorDescriptor
    ) throws(APIError) -> [Int] {
        guard let extents = value?.arrayValue else {
            throw .badRequest("input \(descriptor.name) has no shape")
        }
        let shape = extents.map { $0.integerValue.flatMap(Int.init(exactly:)) ?? -1 }
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
