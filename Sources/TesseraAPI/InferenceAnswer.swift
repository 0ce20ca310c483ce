import Hummingbird
import NIOCore
import TesseraCore

/// Writes a result as a response of HTTP.
struct InferenceAnswer: Sendable {
    /// Answers up to this size are put together and sent by one write; larger ones go out as they
    /// are, without a copy.
    static let joinedBytesMax = 64 << 10
    /// A number of four bytes takes about ten letters.
    private static let textBytesPerByte = 3

    private let result: InferenceResult

    /// The response for a result.
    init(_ result: InferenceResult) { self.result = result }

    /// About how many bytes the values take as text.
    var textBytes: Int {
        result.outputs.reduce(0) { sum, output in
            output.isBinary ? sum : sum + output.byteCount * Self.textBytesPerByte
        }
    }

    /// About how many bytes the values take, as text or as they are.
    var byteCount: Int {
        result.outputs.reduce(textBytes) { $0 + ($1.isBinary ? $1.byteCount : 0) }
    }

    /// The response, compressed if the client wants that; throws if values cannot be written the
    /// way that was asked for.
    func response(coding: ContentCoding) throws(APIError) -> Response {
        var outputs: [JSONValue] = []
        var binary: [ByteBuffer] = []
        for output in result.outputs {
            var members: [JSONMember] = [
                JSONMember(name: "name", value: .string(output.descriptor.name)),
                JSONMember(
                    name: "datatype", value: .string(output.descriptor.type.protocolName)),
                JSONMember(name: "shape", value: .array(output.shape.map { .integer($0) })),
            ]
            if output.isBinary {
                members.append(
                    JSONMember(
                        name: "parameters",
                        value: ["binary_data_size": .integer(output.byteCount)]))
                binary += output.parts
            } else {
                let text = try text(of: output)
                members.append(JSONMember(name: "data", value: .text(text[...])))
            }
            outputs.append(.object(members))
        }
        return try response(header: header(outputs: outputs), binary: binary, coding: coding)
    }

    private func text(of output: InferenceResult.Output) throws(APIError) -> [UInt8] {
        var joined = output.parts[0]
        for part in output.parts.dropFirst() { joined.writeImmutableBuffer(part) }
        do {
            return try TensorText.write(
                InferenceTensor(descriptor: output.descriptor, bytes: joined))
        } catch {
            throw .badRequest("output \(output.descriptor.name): \(error)")
        }
    }

    private func header(outputs: [JSONValue]) -> JSONValue {
        var members: [JSONMember] = [
            JSONMember(name: "model_name", value: .string(result.model)),
            JSONMember(name: "model_version", value: .string(ModelVersion.only)),
        ]
        if let id = result.id { members.append(JSONMember(name: "id", value: .string(id))) }
        var parameters = [
            JSONMember(
                name: "tessera_request", value: .string(result.requests.joined(separator: ","))),
            JSONMember(
                name: "tessera_plan", value: .string(result.plans.joined(separator: ","))),
            JSONMember(name: "tessera_node", value: .string(result.node)),
            JSONMember(name: "tessera_attempts", value: .integer(result.attempts)),
        ]
        if let exits = result.exits {
            parameters.append(
                JSONMember(name: "tessera_exit", value: .string(exits.joined(separator: ","))))
            parameters.append(
                JSONMember(
                    name: "tessera_confidences",
                    value: .string(result.confidences.joined(separator: ","))))
        }
        if let leftOut = result.leftOut {
            parameters.append(
                JSONMember(
                    name: InferenceParameters.leftOut,
                    value: .string(leftOut.joined(separator: ","))))
        }
        members.append(JSONMember(name: "parameters", value: .object(parameters)))
        members.append(JSONMember(name: "outputs", value: .array(outputs)))
        return .object(members)
    }

    private func response(
        header: JSONValue, binary: [ByteBuffer], coding: ContentCoding
    ) throws(APIError) -> Response {
        var first = ByteBuffer()
        first.writeJSON(header)
        var headers: HTTPFields = [
            .contentType: binary.isEmpty ? "application/json" : "application/octet-stream"
        ]
        // The length of the JSON as it is before compression.
        if !binary.isEmpty {
            headers[.inferenceHeaderContentLength] = "\(first.readableBytes)"
        }
        let size = binary.reduce(first.readableBytes) { $0 + $1.readableBytes }
        if coding != .identity {
            headers[.contentEncoding] = coding.rawValue
            headers[.vary] = "Accept-Encoding"
            let body = try coding.compress([first] + binary)
            return Response(
                status: .ok, headers: headers, body: ResponseBody(byteBuffer: body))
        }
        if size <= Self.joinedBytesMax {
            for part in binary { first.writeImmutableBuffer(part) }
            return Response(
                status: .ok, headers: headers, body: ResponseBody(byteBuffer: first))
        }
        return Response(
            status: .ok, headers: headers, body: ResponseBody(contentsOf: [first] + binary))
    }
}
