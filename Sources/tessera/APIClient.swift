import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import TesseraAPI

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// An agent's API, as the commands use it.
struct APIClient: Sendable {
    /// An answer read whole.
    struct Answer: Sendable {
        /// The status.
        var status: Int
        /// The header fields.
        var headers: HTTPHeaders
        /// The body.
        var body: ByteBuffer
    }

    /// A local agent answers a connection at once; a far one within this.
    private static let connectTimeout = TimeAmount.seconds(3)
    /// How long the answer to a call that only reads may take.
    private static let readingTimeout = TimeAmount.seconds(15)
    /// The longest document: 64 members with every counter are a few hundred KiB.
    private static let documentBytesMax = 64 << 20

    /// The system's own file of certificates has a quarter of that.
    private static let certificateBytesMax = 1 << 20

    private let client: HTTPClient
    /// The URL without a slash at its end.
    let base: String
    private let token: String?

    /// Runs `body` with a client for the agent; `connections` may be open at once.
    ///
    /// The name in the agent's certificate may be another one unless `isNameChecked`, which is for
    /// certificates that the agent itself was given.
    static func with<Result: Sendable>(
        _ options: APIOptions, token: String? = nil, connections: Int = 8,
        isNameChecked: Bool = true,
        _ body: (APIClient) async throws -> Result
    ) async throws -> Result {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: connectTimeout))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        let authorities = try options.certificateFile.map {
            try Files.read($0, bytesMax: certificateBytesMax, what: "the file of certificates")
        }
        guard
            let trust = APITrust.configuration(
                authorities: authorities, isNameChecked: isNameChecked)
        else {
            throw CommandFailure(
                "\(options.certificateFile ?? "") holds no certificate in PEM form. Check --ca-file."
            )
        }
        configuration.tlsConfiguration = trust
        let token = try token ?? options.readingToken()
        let base = try base(of: options.address)
        let client = HTTPClient(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
        let result: Result
        do {
            result = try await body(APIClient(client: client, base: base, token: token))
        } catch {
            await end(client)
            throw error
        }
        await end(client)
        return result
    }

    private static func end(_ client: HTTPClient) async {
        // The process is about to end: what does not close is closed by the system.
        try? await client.shutdown()
    }

    /// Checks that the text is the URL of an agent.
    static func base(of address: String) throws -> String {
        let scheme = address.hasPrefix("https://") ? "https://" : "http://"
        var rest = address.hasPrefix(scheme) ? address.dropFirst(scheme.count) : address[...]
        while rest.last == "/" { rest.removeLast() }
        let isFine =
            !rest.isEmpty && !rest.contains("://")
            && rest.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") }
        guard isFine else {
            throw CommandFailure(
                "'\(Figures.printable(address))' is not the address of an agent's API; write "
                    + "http://HOST:PORT, such as \(APIOptions.usual).", code: .usage)
        }
        return scheme + rest
    }

    // MARK: Calls

    /// Gets a document.
    func document<Document: Decodable>(
        _ type: Document.Type, at path: String
    ) async throws -> Document {
        let answer = try await call(.GET, path)
        try Self.check(answer)
        return try read(type, answer.body)
    }

    /// Gets a text.
    func text(at path: String) async throws -> String {
        let answer = try await call(.GET, path)
        try Self.check(answer)
        return String(buffer: answer.body)
    }

    /// Reads a document, or says that the agent speaks otherwise.
    func read<Document: Decodable>(_ type: Document.Type, _ body: ByteBuffer) throws -> Document {
        do {
            return try JSONText.read(type, Array(body.readableBytesView))
        } catch {
            throw CommandFailure(
                "what answers at \(base) does not speak as this version does (\(error)). "
                    + "Compare `tessera version` with the version of the agent.")
        }
    }

    /// Calls and reads the answer whole, whatever its status.
    func call(
        _ method: HTTPMethod, _ path: String, headers: HTTPHeaders = [:],
        body: HTTPClientRequest.Body? = nil, timeout: TimeAmount = readingTimeout,
        answerBytesMax: Int = documentBytesMax
    ) async throws -> Answer {
        let response = try await send(method, path, headers: headers, body: body, timeout: timeout)
        let bytes: ByteBuffer
        do {
            bytes = try await response.body.collect(upTo: answerBytesMax)
        } catch is NIOTooManyBytesError {
            throw CommandFailure(
                "the answer of \(base)\(path) is longer than \(answerBytesMax) bytes.")
        } catch {
            throw unreachable(error)
        }
        return Answer(
            status: Int(response.status.code), headers: response.headers, body: bytes)
    }

    /// Gives `body` each line of an answer as it comes; it returns whether it wants more.
    func lines(at path: String, _ body: ([UInt8]) throws -> Bool) async throws {
        // An open stream is silent for as long as nothing happens.
        let response = try await send(.GET, path, timeout: .hours(24 * 365))
        guard response.status == .ok else {
            let bytes = try await response.body.collect(upTo: Self.documentBytesMax)
            try Self.check(
                Answer(
                    status: Int(response.status.code), headers: response.headers, body: bytes))
            return
        }
        var line: [UInt8] = []
        do {
            for try await chunk in response.body {
                for byte in chunk.readableBytesView {
                    guard byte == UInt8(ascii: "\n") else {
                        line.append(byte)
                        continue
                    }
                    guard try body(line) else { return }
                    line = []
                    line.reserveCapacity(256)
                }
                guard line.count <= Self.documentBytesMax else {
                    throw CommandFailure("\(base)\(path) sent a line without an end.")
                }
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw unreachable(error)
        }
    }

    /// Whether a server still listens there: false once connections are refused.
    ///
    /// One that does not answer in time may only be busy.
    func isServed() async -> Bool {
        // A connection that stays open would keep a server that leaves waiting for its end.
        var request = HTTPClientRequest(url: base + "/v2/health/live")
        request.headers = ["Connection": "close"]
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        do {
            _ = try await client.execute(request, timeout: Self.connectTimeout)
            return true
        } catch let error as NIOConnectionError {
            return !error.connectionErrors.contains { Self.isRefusal($0.error) }
        } catch {
            return !Self.isRefusal(error)
        }
    }

    private static func isRefusal(_ error: any Error) -> Bool {
        (error as? IOError)?.errnoCode == ECONNREFUSED
    }

    private func send(
        _ method: HTTPMethod, _ path: String, headers: HTTPHeaders = [:],
        body: HTTPClientRequest.Body? = nil, timeout: TimeAmount
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        request.headers = headers
        request.headers.replaceOrAdd(
            name: "User-Agent", value: "tessera/\(VersionDocument.program)")
        if let token {
            request.headers.replaceOrAdd(name: "Authorization", value: "Bearer \(token)")
        }
        request.body = body
        do {
            return try await client.execute(request, timeout: timeout)
        } catch {
            throw unreachable(error)
        }
    }

    // MARK: Failures

    private func unreachable(_ error: any Error) -> any Error {
        if error is CancellationError || error is CommandFailure { return error }
        return CommandFailure(
            """
            no agent answers at \(base): \(Self.reason(error)).
            Start one with `tessera agent`, or name another with --api http://HOST:PORT \
            (TESSERA_API).
            """, code: .unreachable)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout: return "it does not take connections"
            case .deadlineExceeded, .readTimeout: return "it did not answer in time"
            case .remoteConnectionClosed: return "it closed the connection"
            default: return error.description
            }
        case let error as NIOConnectionError:
            if let last = error.connectionErrors.last { return reason(last.error) }
            return "the host \(error.host) is not known"
        case let error as IOError:
            return Files.systemReason(error.errnoCode)
        case _ where APITrust.isFailure(error):
            return "TLS with it is not possible (\(error)); look whether it serves https, and name "
                + "the certificate to trust with --ca-file"
        default: return "\(error)"
        }
    }

    /// Throws what the agent says if the status is not one of success.
    static func check(_ answer: Answer) throws {
        guard !(200..<300).contains(answer.status) else { return }
        throw CommandFailure(
            refusal(answer), code: answer.status == 404 ? .nothingMatched : .failed)
    }

    /// What the agent says about a call that it did not carry out.
    static func refusal(_ answer: Answer) -> String {
        struct Refusal: Decodable {
            var error: String
        }
        let bytes = Array(answer.body.readableBytesView)
        if let refusal = try? JSONText.read(Refusal.self, bytes) {  // Else: no agent, see below.
            return Figures.printable(refusal.error) + " (HTTP \(answer.status))"
        }
        return "the answer is HTTP \(answer.status), and not one that an agent gives. "
            + "Check the address after --api."
    }

    /// A name as one component of a path.
    static func component(_ name: String) -> String {
        var result = ""
        for byte in name.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.append(Character(Unicode.Scalar(byte)))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return result
    }
}
