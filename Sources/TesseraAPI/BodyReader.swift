import Hummingbird
import NIOCore
import Synchronization

/// Counts the bytes of bodies that are held, over all requests.
final class BodyBudget: Sendable {
    /// What a client is told when nothing is left.
    static let isFull = APIError.overloaded(
        "the bodies of requests that are under way fill the memory for them; try again later")

    private let limit: Int
    private let held = Mutex(0)

    /// A budget of so many bytes.
    init(limit: Int) { self.limit = limit }

    /// Takes a part of the budget; false if there is not enough left.
    func take(_ byteCount: Int) -> Bool {
        held.withLock { held in
            guard held + byteCount <= limit else { return false }
            held += byteCount
            return true
        }
    }

    /// Gives a part back.
    func give(_ byteCount: Int) {
        held.withLock { $0 -= byteCount }
    }

    /// What is taken now.
    var heldBytes: Int { held.withLock { $0 } }
}

/// Reads whole bodies in bounds.
struct BodyReader: Sendable {
    /// Where tensors begin in memory, relative to the buffer, which malloc aligns to 16 bytes: an
    /// engine can then take them as they are.
    static let alignment = 64

    private let budget: BodyBudget
    private let limit: Int

    /// A reader of bodies up to `limit` bytes, all of them together within the budget.
    init(budget: BodyBudget, limit: Int) {
        self.budget = budget
        self.limit = limit
    }

    /// Runs `operation` with the whole body, and holds its bytes in the budget as long.
    ///
    /// `headerLength` is how much of the body goes before the first tensor, which is then aligned.
    func withBody<Result>(
        of request: Request, headerLength: Int = 0,
        _ operation: (ByteBuffer) async throws -> Result
    ) async throws -> Result {
        var declared = try Self.contentLength(of: request)
        guard declared ?? 0 <= limit else { throw APIError.tooLarge(limit: limit) }
        let inflater = try Self.coding(of: request).inflater()
        // What a compressed body inflates to shows only as it comes.
        if inflater != nil { declared = nil }
        var taken = 0
        defer { budget.give(taken) }
        func take(_ byteCount: Int) throws {
            guard budget.take(byteCount) else {
                throw BodyBudget.isFull
            }
            taken += byteCount
        }
        try take(declared ?? 0)
        let padding = (Self.alignment - headerLength % Self.alignment) % Self.alignment
        var buffer = ByteBufferAllocator().buffer(capacity: padding + (declared ?? 0))
        buffer.writeRepeatingByte(0, count: padding)
        buffer.moveReaderIndex(forwardBy: padding)
        func read() async throws {
            for try await part in request.body {
                if let inflater {
                    try inflater.inflate(part, into: &buffer, limit: limit, take)
                    continue
                }
                guard buffer.readableBytes + part.readableBytes <= limit else {
                    throw APIError.tooLarge(limit: limit)
                }
                if declared == nil { try take(part.readableBytes) }
                buffer.writeImmutableBuffer(part)
            }
        }
        if inflater == nil {
            try await read()
        } else {
            // A few bytes may inflate to many, which must not hold up other requests.
            try await withTaskExecutorPreference(globalConcurrentExecutor) { try await read() }
        }
        try inflater?.finish()
        return try await operation(buffer)
    }

    /// How a body is compressed.
    private static func coding(of request: Request) throws(APIError) -> ContentCoding {
        let text = request.headers[.contentEncoding] ?? ContentCoding.identity.rawValue
        guard let coding = ContentCoding(rawValue: text.lowercased()) else {
            throw APIError(
                status: .unsupportedMediaType,
                message: "the body's Content-Encoding is \(text.prefix(40)); it may be gzip or "
                    + "deflate")
        }
        return coding
    }

    /// The declared length of a body; nil if it comes in chunks.
    static func contentLength(of request: Request) throws(APIError) -> Int? {
        guard let text = request.headers[.contentLength] else { return nil }
        guard let length = Int(text), length >= 0 else {
            throw .badRequest("the Content-Length \"\(text.prefix(40))\" is not a length")
        }
        return length
    }
}
