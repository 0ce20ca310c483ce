import Hummingbird
import NIOCore

/// The body of a request whose client waits for a word before it sends it (RFC 9110 §10.1.1): who
/// begins to read gives the word.
///
/// So a call that is refused for its head alone never makes the client send its body.
struct AwaitedBody: AsyncSequence, Sendable {
    /// Passes bytes on.
    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var base: RequestBody.AsyncIterator
        fileprivate var channel: (any Channel)?

        mutating func next() async throws -> ByteBuffer? {
            channel?.triggerUserOutboundEvent(BodyIsWanted(), promise: nil)
            channel = nil
            return try await base.next()
        }
    }

    /// What goes to the connection's `SenderGuard`.
    struct BodyIsWanted: Sendable {}

    private let base: RequestBody
    private let channel: any Channel

    /// The request, with such a body if its client waits for a word.
    static func prepared(_ request: Request, on channel: any Channel) throws(APIError) -> Request {
        guard let expected = request.headers[.expect] else { return request }
        guard expected.lowercased() == "100-continue" else {
            throw APIError(
                status: .expectationFailed,
                message: "the call expects \"\(expected.prefix(40))\", which is not known here")
        }
        var request = request
        request.body = RequestBody(
            asyncSequence: AwaitedBody(base: request.body, channel: channel))
        return request
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: base.makeAsyncIterator(), channel: channel)
    }
}
