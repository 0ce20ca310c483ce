import Hummingbird
import NIOCore
import TesseraCore

/// An error as the client gets it: a status and `{"error": "..."}`.
struct APIError: Error, Hashable, Sendable {
    /// The status of the response.
    var status: HTTPResponse.Status
    /// What happened, why, and what to do.
    var message: String
    /// When to try again, if that may help.
    var retryAfterSeconds: Int64?
    /// The methods that the path has, for 405.
    var allowedMethods: [HTTPRequest.Method] = []

    /// The request is wrong.
    static func badRequest(_ message: String) -> APIError {
        APIError(status: .badRequest, message: message)
    }

    /// What the path names is not there.
    static func notFound(_ message: String) -> APIError {
        APIError(status: .notFound, message: message)
    }

    /// The caller may not do this.
    static func forbidden(_ message: String) -> APIError {
        APIError(status: .forbidden, message: message)
    }

    /// The caller must say who it is.
    static func unauthorized(_ message: String) -> APIError {
        APIError(status: .unauthorized, message: message)
    }

    /// The body is longer than allowed.
    static func tooLarge(limit: Int) -> APIError {
        APIError(
            status: .contentTooLarge, message: "the body is longer than \(limit) bytes are allowed")
    }

    /// Too much is going on.
    static func overloaded(_ message: String, retryAfterSeconds: Int64 = 1) -> APIError {
        APIError(
            status: .tooManyRequests, message: message, retryAfterSeconds: retryAfterSeconds)
    }

    /// The response that tells the client.
    func response() -> Response {
        var response = Response.json(["error": .string(message)], status: status)
        if let retryAfterSeconds { response.headers[.retryAfter] = "\(retryAfterSeconds)" }
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        if !allowedMethods.isEmpty {
            response.headers[.allow] = allowedMethods.map(\.rawValue).joined(separator: ", ")
        }
        return response
    }
}

extension APIError {
    /// What a request's error is to the client.
    init(_ error: RequestError, model: String) {
        switch error {
        case .unknownModel: self = .notFound("the mesh has no model \"\(model)\"")
        case .unavailable(let reason):
            self.init(
                status: .serviceUnavailable, message: "no plan serves \(model): \(reason)",
                retryAfterSeconds: 1)
        case .overloaded(let span):
            let seconds = max((span.nanoseconds + 999_999_999) / 1_000_000_000, 1)
            self = .overloaded(
                "too many requests are waiting already; try again later",
                retryAfterSeconds: seconds)
        case .deadlineExceeded:
            self.init(
                status: .gatewayTimeout, message: "the deadline passed before the answer was there"
            )
        case .failed(let reason):
            self.init(
                status: .internalServerError, message: "every attempt failed; the last: \(reason)")
        case .refused(let reason): self = .badRequest("the input is refused: \(reason)")
        case .leaving:
            self.init(
                status: .serviceUnavailable, message: "this agent is leaving; ask another one",
                retryAfterSeconds: 1)
        }
    }

    /// What a control error is to the client.
    init(_ error: ControlError) {
        switch error {
        case .notFound(let reason): self = .notFound(reason)
        case .invalid(let reason): self = .badRequest(reason)
        case .noRoom(let reason):
            self.init(
                status: .init(code: 507, reasonPhrase: "Insufficient Storage"), message: reason)
        case .unavailable(let reason):
            self.init(status: .serviceUnavailable, message: reason, retryAfterSeconds: 1)
        case .failed(let reason): self.init(status: .internalServerError, message: reason)
        }
    }
}

extension Response {
    /// A response with a JSON body.
    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        var buffer = ByteBuffer()
        buffer.writeJSON(value)
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: buffer))
    }
}
