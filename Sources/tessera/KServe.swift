import NIOCore
import NIOHTTP1
import TesseraCore

/// The Open Inference Protocol with binary tensors, as a client speaks it.
enum KServe {
    /// How many bytes of a body are JSON.
    static let headerLengthField = "Inference-Header-Content-Length"

    /// A tensor of a model as `/v2/models/NAME` describes it.
    struct TensorMetadata: Codable, Equatable {
        /// The name.
        var name: String
        /// The protocol's name of the type.
        var datatype: String
        /// The extents.
        var shape: [Int]
    }

    /// `GET /v2/models/NAME`.
    struct ModelMetadata: Codable {
        /// The name.
        var name: String
        /// The inputs.
        var inputs: [TensorMetadata]
        /// The outputs.
        var outputs: [TensorMetadata]
    }

    /// An output of an answer.
    struct Output: Equatable {
        /// The name.
        var name: String
        /// The elements.
        var array: NpyArray
    }

    private struct RequestHeader: Encodable {
        struct Parameters: Encodable {
            var binary_data_output = true
            var tessera_exit: Exit?
        }
        enum Exit: Encodable {
            case none
            case threshold(Double)

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                switch self {
                case .none: try container.encode(false)
                case .threshold(let value): try container.encode(value)
                }
            }
        }
        struct Input: Encodable {
            struct Parameters: Encodable {
                var binary_data_size: Int
            }
            var name: String
            var datatype: String
            var shape: [Int]
            var parameters: Parameters
        }
        var inputs: [Input]
        var parameters = Parameters()
    }

    private struct AnswerHeader: Decodable {
        struct Output: Decodable {
            struct Parameters: Decodable {
                var binary_data_size: Int?
            }
            var name: String
            var datatype: String
            var shape: [Int]
            var parameters: Parameters?
        }
        var outputs: [Output]
        var parameters: AnswerParameters?
    }

    private struct AnswerParameters: Decodable {
        var tessera_exit: String?
        var tessera_left_out: String?
    }

    /// The types by the protocol's names.
    private static let names: [(ElementType, String)] = [
        (.boolean, "BOOL"), (.int8, "INT8"), (.int16, "INT16"), (.int32, "INT32"),
        (.int64, "INT64"), (.uint8, "UINT8"), (.uint16, "UINT16"), (.uint32, "UINT32"),
        (.uint64, "UINT64"), (.float16, "FP16"), (.bfloat16, "BF16"), (.float32, "FP32"),
        (.float64, "FP64"),
    ]

    /// The type with the protocol's name; nil if there is none.
    static func type(named name: String) -> ElementType? {
        names.first { $0.1 == name }?.0
    }

    /// The body of a request for one item, and how many bytes of it are JSON.
    static func body(
        _ inputs: [(metadata: TensorMetadata, bytes: ArraySlice<UInt8>)],
        exits: ExitWish = .usual
    ) throws -> (body: ByteBuffer, headerLength: Int) {
        let header = RequestHeader(
            inputs: inputs.map { input in
                RequestHeader.Input(
                    name: input.metadata.name, datatype: input.metadata.datatype,
                    shape: input.metadata.shape,
                    parameters: .init(binary_data_size: input.bytes.count))
            }, parameters: .init(tessera_exit: parameter(exits)))
        let text = try JSONText.bytes(header)
        var body = ByteBuffer()
        body.reserveCapacity(inputs.reduce(text.count) { $0 + $1.bytes.count })
        body.writeBytes(text)
        for input in inputs { body.writeBytes(input.bytes) }
        return (body, text.count)
    }

    private static func parameter(_ wish: ExitWish) -> RequestHeader.Exit? {
        switch wish {
        case .usual: nil
        case .none: RequestHeader.Exit.none
        case .threshold(let millionths):
            .threshold(Double(millionths) / Double(ModelExit.unit))
        }
    }

    /// What an answer says of itself.
    struct Remarks: Sendable {
        /// The output that answered, an exit or what exits stand for; nil if no exits were looked at.
        var exit: String?
        /// The branches that the answer does without; nil for that of the whole model.
        var leftOut: String?
    }

    /// Reads what an answer says of itself.
    static func remarks(_ answer: APIClient.Answer) throws -> Remarks {
        guard let field = answer.headers.first(name: headerLengthField), let length = Int(field),
            length > 0, length <= answer.body.readableBytes
        else { return Remarks() }
        let bytes = Array(answer.body.readableBytesView.prefix(length))
        let parameters = try JSONText.read(AnswerHeader.self, bytes).parameters
        return Remarks(
            exit: parameters?.tessera_exit, leftOut: parameters?.tessera_left_out)
    }

    /// Reads the outputs of an answer.
    static func outputs(_ answer: APIClient.Answer) throws -> [Output] {
        guard let field = answer.headers.first(name: headerLengthField), let length = Int(field),
            length > 0, length <= answer.body.readableBytes
        else { throw CommandFailure("the answer carries no binary tensors; is it an agent's?") }
        let bytes = Array(answer.body.readableBytesView)
        let header: AnswerHeader
        do {
            header = try JSONText.read(AnswerHeader.self, Array(bytes[..<length]))
        } catch {
            throw CommandFailure("the answer's JSON cannot be read: \(error).")
        }
        var rest = bytes[length...]
        return try header.outputs.map { output in
            guard let type = type(named: output.datatype),
                let size = output.parameters?.binary_data_size, size >= 0, size <= rest.count,
                output.shape.allSatisfy({ $0 >= 0 && $0 <= size }),
                let count = checkedProduct(output.shape + [type.byteCount]), count == size
            else {
                throw CommandFailure(
                    "output \(Figures.printable(output.name)) of the answer does not fit its "
                        + "description.")
            }
            defer { rest = rest.dropFirst(size) }
            return Output(
                name: output.name,
                array: NpyArray(type: type, shape: output.shape, bytes: rest.prefix(size)))
        }
    }

    private static func checkedProduct(_ factors: [Int]) -> Int? {
        factors.reduce(1) { product, factor in
            guard let product else { return nil }
            let (result, isTooLarge) = product.multipliedReportingOverflow(by: factor)
            return isTooLarge ? nil : result
        }
    }
}
