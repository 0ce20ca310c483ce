import NIOCore
import TesseraCore

/// Reads inference calls in JSON, with the binary tensor extension.
struct InferenceCallReader: Sendable {
    private let checker: InferenceCallChecker

    /// A reader for calls of a model.
    init(_ model: ModelInformation) { checker = InferenceCallChecker(model) }

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
        let inputs = try readInputs(header, binary: &body, allowsBinary: headerLength != nil)
        let parameters = try members(header["parameters"], of: "the request")
        let isBinaryUsual = try readFlag(parameters["binary_data_output"], "binary_data_output")
        let call = try checker.check(
            InferenceDraft(
                id: try readID(header["id"]),
                timeoutMicroseconds: try readTimeout(parameters["timeout"]),
                outputs: try readOutputs(header["outputs"]),
                isBinaryUsual: isBinaryUsual ?? false,
                exits: try readExits(parameters[InferenceParameters.exit]), inputs: inputs))
        guard body.readableBytes == 0 else {
            throw .badRequest(
                "\(body.readableBytes) bytes follow the last input's binary data")
        }
        return call
    }

    private func members(
        _ parameters: JSONValue?, of owner: String
    ) throws(APIError) -> JSONValue {
        guard let parameters else { return [:] }
        guard case .object(let members) = parameters else {
            throw .badRequest("the parameters of \(owner) are not an object")
        }
        try InferenceParameters.check(members.map(\.name))
        return parameters
    }

    private func readID(_ value: JSONValue?) throws(APIError) -> String? {
        guard let value, value != .null else { return nil }
        guard let id = value.stringValue else { throw .badRequest("the id is not a string") }
        return id
    }

    private func readTimeout(_ value: JSONValue?) throws(APIError) -> Int64? {
        guard let value else { return nil }
        guard let microseconds = value.integerValue else {
            throw .badRequest("the parameter timeout is not a whole number of microseconds")
        }
        return microseconds
    }

    private func readExits(_ value: JSONValue?) throws(APIError) -> ExitWish {
        switch value {
        case nil: return .usual
        case .boolean(let flag): return flag ? .usual : .none
        case .number(let number): return try InferenceParameters.wish(threshold: number)
        case .integer(let number):
            return try InferenceParameters.wish(threshold: Double(number))
        default: throw InferenceParameters.wrongExit
        }
    }

    private func readOutputs(_ value: JSONValue?) throws(APIError) -> [InferenceDraft.Output]? {
        guard let value else { return nil }
        guard let wanted = value.arrayValue else {
            throw .badRequest("the outputs are not an array")
        }
        var result: [InferenceDraft.Output] = []
        for output in wanted {
            guard let name = output["name"]?.stringValue else {
                throw .badRequest("an output has no name")
            }
            let own = try members(output["parameters"], of: "output \(name.prefix(200))")
            result.append(
                InferenceDraft.Output(
                    name: name, isBinary: try readFlag(own["binary_data"], "binary_data")))
        }
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
    ) throws(APIError) -> [InferenceDraft.Input] {
        guard let values = header["inputs"]?.arrayValue else {
            throw .badRequest("the request has no array of inputs")
        }
        var inputs: [InferenceDraft.Input] = []
        for value in values {
            guard let name = value["name"]?.stringValue else {
                throw .badRequest("an input has no name")
            }
            let shape = value["shape"]?.arrayValue?.map {
                $0.integerValue.flatMap(Int.init(exactly:)) ?? -1
            }
            inputs.append(
                InferenceDraft.Input(
                    name: name, datatype: value["datatype"]?.stringValue, shape: shape,
                    values: try readValues(
                        value, name: name.prefix(200), binary: &binary,
                        allowsBinary: allowsBinary)))
        }
        return inputs
    }

    private func readValues(
        _ value: JSONValue, name: Substring, binary: inout ByteBuffer, allowsBinary: Bool
    ) throws(APIError) -> InferenceDraft.Values {
        let parameters = try members(value["parameters"], of: "input \(name)")
        guard let size = parameters["binary_data_size"] else {
            if case .text(let text) = value["data"] { return .text(text) }
            return .missing
        }
        guard allowsBinary else {
            throw .badRequest(
                "input \(name) has binary data, and the request has no "
                    + "Inference-Header-Content-Length header")
        }
        guard value["data"] == nil else {
            throw .badRequest("input \(name) has both data and binary data")
        }
        guard let length = size.integerValue.flatMap(Int.init(exactly:)), length >= 0 else {
            throw .badRequest("the binary_data_size of input \(name) is not a number of bytes")
        }
        guard let bytes = binary.readSlice(length: length) else {
            throw .badRequest(
                "the body ends within input \(name): its binary_data_size is \(length), and "
                    + "\(binary.readableBytes) are left")
        }
        return .bytes(bytes)
    }
}

/// The parameters of calls and tensors that mean something which is not here.
enum InferenceParameters {
    /// What a client says of early exits: false for none, or a threshold for all of them.
    static let exit = "tessera_exit"
    /// In answers: the branches that they do without.
    static let leftOut = "tessera_left_out"
    static let wrongExit = APIError.badRequest(
        "the parameter \(exit) is neither a truth value nor a threshold from 0 to 1")

    /// A client's own threshold.
    static func wish(threshold: Double) throws(APIError) -> ExitWish {
        guard threshold >= 0, threshold <= 1 else { throw wrongExit }
        return .threshold(Int((threshold * Double(ModelExit.unit)).rounded()))
    }

    /// Throws if one of the names asks for an extension that is not supported.
    static func check(_ names: some Sequence<String>) throws(APIError) {
        for name in names {
            if name.hasPrefix("shared_memory") {
                throw .badRequest("shared memory is not supported; send the data themselves")
            }
            if name == "classification" {
                throw .badRequest("the classification extension is not supported")
            }
        }
    }
}
