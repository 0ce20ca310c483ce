import Hummingbird
import NIOCore
import TesseraCore

/// Writes the answers of a call's items as one response.
struct InferenceAnswer: Sendable {
    /// Answers up to this size are put together and sent by one write; larger ones go out as they
    /// are, without a copy.
    static let joinedBytesMax = 64 << 10

    private let model: ModelInformation
    private let call: InferenceCall
    private let answers: [InferenceResponse]

    /// The answer to a call: one response for each of its items, in order.
    init(model: ModelInformation, call: InferenceCall, answers: [InferenceResponse]) {
        self.model = model
        self.call = call
        self.answers = answers
    }

    /// About how many bytes the values take as text.
    var textBytes: Int {
        call.outputs.reduce(0) { sum, wanted in
            wanted.isBinary
                ? sum
                : sum + answers.count * model.outputs[wanted.index].byteCount
                    * Self.textBytesPerByte
        }
    }

    /// A number of four bytes takes about ten letters.
    private static let textBytesPerByte = 3

    /// The response; throws if values cannot be written the way that was asked for.
    func response() throws(APIError) -> Response {
        var outputs: [JSONValue] = []
        var binary: [ByteBuffer] = []
        for wanted in call.outputs {
            let descriptor = model.outputs[wanted.index]
            let parts = try parts(of: wanted.index, descriptor: descriptor)
            var shape = descriptor.shape
            if call.isBatch { shape[0] = answers.count }
            var members: [JSONMember] = [
                JSONMember(name: "name", value: .string(descriptor.name)),
                JSONMember(name: "datatype", value: .string(descriptor.type.protocolName)),
                JSONMember(name: "shape", value: .array(shape.map { .integer($0) })),
            ]
            if wanted.isBinary {
                let size = parts.reduce(0) { $0 + $1.readableBytes }
                members.append(
                    JSONMember(name: "parameters", value: ["binary_data_size": .integer(size)]))
                binary += parts
            } else {
                let text = try text(of: parts, descriptor: descriptor)
                members.append(JSONMember(name: "data", value: .text(text[...])))
            }
            outputs.append(.object(members))
        }
        return response(header: header(outputs: outputs), binary: binary)
    }

    /// One output's bytes, item by item.
    private func parts(
        of index: Int, descriptor: TensorDescriptor
    ) throws(APIError) -> [ByteBuffer] {
        var parts: [ByteBuffer] = []
        for answer in answers {
            guard answer.outputs.indices.contains(index),
                answer.outputs[index].bytes.readableBytes == descriptor.byteCount
            else {
                throw APIError(
                    status: .internalServerError,
                    message: "the answer does not have the outputs of model \(model.name)")
            }
            parts.append(answer.outputs[index].bytes)
        }
        return parts
    }

    private func text(
        of parts: [ByteBuffer], descriptor: TensorDescriptor
    ) throws(APIError) -> [UInt8] {
        var joined = parts[0]
        for part in parts.dropFirst() { joined.writeImmutableBuffer(part) }
        do {
            return try TensorText.write(InferenceTensor(descriptor: descriptor, bytes: joined))
        } catch {
            throw .badRequest("output \(descriptor.name): \(error)")
        }
    }

    private func header(outputs: [JSONValue]) -> JSONValue {
        var members: [JSONMember] = [
            JSONMember(name: "model_name", value: .string(model.name)),
            JSONMember(name: "model_version", value: .string(ModelVersion.only)),
        ]
        if let id = call.id { members.append(JSONMember(name: "id", value: .string(id))) }
        var plans: [String] = []
        for answer in answers where !plans.contains(answer.plan.hexadecimal) {
            plans.append(answer.plan.hexadecimal)
        }
        members.append(
            JSONMember(
                name: "parameters",
                value: [
                    "tessera_plan": .string(plans.joined(separator: ",")),
                    "tessera_node": .string(answers[0].node),
                    "tessera_attempts": .integer(answers.map(\.attempts).max() ?? 0),
                ]))
        members.append(JSONMember(name: "outputs", value: .array(outputs)))
        return .object(members)
    }

    private func response(header: JSONValue, binary: [ByteBuffer]) -> Response {
        guard !binary.isEmpty else { return .json(header) }
        var first = ByteBuffer()
        first.writeJSON(header)
        let headers: HTTPFields = [
            .contentType: "application/octet-stream",
            .inferenceHeaderContentLength: "\(first.readableBytes)",
        ]
        let size = binary.reduce(first.readableBytes) { $0 + $1.readableBytes }
        if size <= Self.joinedBytesMax {
            for part in binary { first.writeImmutableBuffer(part) }
            return Response(
                status: .ok, headers: headers, body: ResponseBody(byteBuffer: first))
        }
        return Response(
            status: .ok, headers: headers, body: ResponseBody(contentsOf: [first] + binary))
    }
}

/// The protocol's versions of models.
///
/// A new file under an old name is a new model here, so that there is only one version.
enum ModelVersion {
    /// The only version.
    static let only = "1"
}
