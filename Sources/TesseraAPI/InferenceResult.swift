import Hummingbird
import NIOCore
import TesseraCore

/// The answer to a call, over HTTP or gRPC: the outputs asked for, with the answers to a batch's
/// items behind each other.
struct InferenceResult: Sendable {
    /// One output.
    struct Output: Sendable {
        /// Name, type and shape of one item's.
        var descriptor: TensorDescriptor
        /// The shape of all.
        var shape: [Int]
        /// The values, item by item.
        var parts: [ByteBuffer]
        /// Whether the values go behind the JSON instead of into it.
        var isBinary: Bool

        /// The bytes of the values.
        var byteCount: Int { parts.reduce(0) { $0 + $1.readableBytes } }
    }

    /// The model's name.
    var model: String
    /// The client's own name for the request.
    var id: String?
    /// The outputs, in the order asked for.
    var outputs: [Output]
    /// By item: what its request is called in logs and traces of all agents.
    var requests: [String]
    /// The plans that the items were answered under, each once.
    var plans: [String]
    /// The node where the request came in.
    var node: String
    /// The most attempts that an item took.
    var attempts: Int
    /// By item: what answered, an output's name; nil if no exits were looked at.
    var exits: [String]?
    /// By item: the exits that were looked at, with their confidences.
    var confidences: [String] = []
    /// By item: the branches that its answer does without, with semicolons between them; nil if all
    /// answers are those of the whole model.
    var leftOut: [String]?

    /// Puts the answers to a call's items together, in order.
    init(
        model: ModelInformation, call: InferenceCall, answers: [InferenceResponse]
    ) throws(APIError) {
        self.model = model.name
        id = call.id
        requests = answers.map(\.request)
        plans = []
        for answer in answers where !plans.contains(answer.plan.hexadecimal) {
            plans.append(answer.plan.hexadecimal)
        }
        node = answers.first?.node ?? ""
        attempts = answers.map(\.attempts).max() ?? 0
        outputs = []
        note(answers, of: model)
        if answers.contains(where: { !$0.leftOut.isEmpty }) {
            leftOut = answers.map { $0.leftOut.map(\.name).joined(separator: ";") }
        }
        let answer = answers.first?.exit?.answer
        for wanted in call.outputs {
            // Where exits were looked at, what they stand for is the answer.
            if let answer, wanted.index != answer, !call.namesOutputs { continue }
            let descriptor = model.outputs[wanted.index]
            var shape = descriptor.shape
            if call.isBatch { shape[0] = answers.count }
            var parts: [ByteBuffer] = []
            for answer in answers {
                guard answer.outputs.indices.contains(wanted.index),
                    answer.outputs[wanted.index].bytes.readableBytes == descriptor.byteCount
                else {
                    throw APIError(
                        status: .internalServerError,
                        message: "the answer does not have the outputs of model \(model.name)")
                }
                parts.append(answer.outputs[wanted.index].bytes)
            }
            outputs.append(
                Output(
                    descriptor: descriptor, shape: shape, parts: parts, isBinary: wanted.isBinary))
        }
    }
}

extension InferenceResult {
    /// Notes what was seen of exits.
    private mutating func note(_ answers: [InferenceResponse], of model: ModelInformation) {
        let details = answers.compactMap(\.exit)
        guard details.count == answers.count, !details.isEmpty else { return }
        func name(_ place: Int) -> String {
            model.outputs.indices.contains(place) ? model.outputs[place].name : "\(place)"
        }
        exits = details.map { name($0.taken ?? $0.answer) }
        confidences = details.map { detail in
            detail.seen.map { seen in
                let digits = String(ModelExit.unit + seen.confidence)
                let whole = seen.confidence == ModelExit.unit ? "1" : "0"
                return "\(name(seen.place))=\(whole).\(digits.dropFirst())"
            }.joined(separator: "/")
        }
    }
}

/// The protocol's versions of models.
///
/// A new file under an old name is a new model here, so that there is only one version.
enum ModelVersion {
    /// The only version.
    static let only = "1"

    /// Throws if a client asks for another version than there is; empty means any.
    static func check(_ version: String, of model: String) throws(APIError) {
        guard version.isEmpty || version == only else {
            throw .notFound(
                "model \(model.prefix(200)) has version \(only) only, not "
                    + "\(version.prefix(40))")
        }
    }
}
