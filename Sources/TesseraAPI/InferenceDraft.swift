import NIOCore
import TesseraCore

/// An inference call as a client sent it, over HTTP or gRPC: read, not yet checked against a model.
struct InferenceDraft: Sendable {
    /// The values of an input.
    enum Values: Sendable {
        /// There are none.
        case missing
        /// A JSON array.
        case text(ArraySlice<UInt8>)
        /// The bytes themselves, row by row, least significant byte first.
        case bytes(ByteBuffer)
        /// Numbers one by one.
        case numbers(TensorNumbers)
    }

    /// A tensor that the client gives.
    struct Input: Sendable {
        /// The input's name.
        var name: String
        /// The name of the values' type; nil if the client did not say.
        var datatype: String?
        /// The shape, with −1 for what is no number; nil if the client did not say.
        var shape: [Int]?
        /// The values.
        var values: Values
    }

    /// A tensor that the client wants.
    struct Output: Sendable {
        /// The output's name.
        var name: String
        /// Whether its values go behind the JSON; nil if the client did not say.
        var isBinary: Bool?
    }

    /// The client's own name for the request.
    var id: String?
    /// How long the answer is worth waiting for, in microseconds; 0 is for ever.
    var timeoutMicroseconds: Int64?
    /// How long the transport will wait for the answer, in microseconds.
    var transportMicroseconds: Int64?
    /// The outputs wanted; nil for all.
    var outputs: [Output]?
    /// Whether values go behind the JSON where an output does not say.
    var isBinaryUsual = false
    /// What is said of early exits.
    var exits = ExitWish.usual
    /// The tensors.
    var inputs: [Input]
}
