import GRPCCore
import Hummingbird

extension APIError: RPCErrorConvertible {
    /// gRPC's code for the status.
    var rpcErrorCode: RPCError.Code {
        switch status.code {
        case 400: .invalidArgument
        case 401: .unauthenticated
        case 403: .permissionDenied
        case 404: .notFound
        case 413, 507: .resourceExhausted
        case 405, 415: .unimplemented
        case 429, 503: .unavailable
        case 504: .deadlineExceeded
        default: .internalError
        }
    }

    /// What happened, why, and what to do.
    var rpcErrorMessage: String { message }

    /// When to try again: for gRPC's clients with a retry policy, and as HTTP has it.
    var rpcErrorMetadata: Metadata {
        var metadata = Metadata()
        for (name, value) in retryFields { metadata.addString(value, forKey: name) }
        return metadata
    }

    /// The fields that say when to try again.
    var retryFields: [(name: String, value: String)] {
        guard let retryAfterSeconds else { return [] }
        return [
            ("grpc-retry-pushback-ms", "\(retryAfterSeconds * 1_000)"),
            ("retry-after", "\(retryAfterSeconds)"),
        ]
    }
}

/// The deadline that gRPC's clients send as what is left of it.
enum GRPCTimeout {
    /// The header field.
    static let field = "grpc-timeout"
    /// The longest number that the protocol allows.
    private static let digitsMax = 8

    /// What is left, in microseconds; nil if the client waits for ever or sent no time.
    static func microseconds(in metadata: Metadata) -> Int64? {
        for text in metadata[stringValues: field] { return microseconds(text) }
        return nil
    }

    /// Reads a number with its unit.
    static func microseconds(_ text: String) -> Int64? {
        let digits = text.dropLast()
        guard let unit = text.last, (1...digitsMax).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(digits)
        else { return nil }
        switch unit {
        case "H": return number * 3_600_000_000
        case "M": return number * 60_000_000
        case "S": return number * 1_000_000
        case "m": return number * 1_000
        case "u": return number
        // Rounded up: nothing is left only of nothing.
        case "n": return (number + 999) / 1_000
        default: return nil
        }
    }

    /// How a call ends that was cancelled: its time was over if it had one, else the client went.
    static func ended(after timeout: Int64?) -> RPCError {
        timeout == nil
            ? RPCError(code: .cancelled, message: "the client went away")
            : RPCError(
                code: .deadlineExceeded, message: "the deadline passed before the answer was there")
    }
}
