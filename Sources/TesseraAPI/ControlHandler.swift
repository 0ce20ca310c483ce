#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
import Hummingbird
import NIOCore
import TesseraCore

/// The control API, for the command line and programs: JSON with a `version` in every answer.
struct ControlHandler: Sendable {
    /// The longest name of a model: it is a path component and stands in every catalogue.
    static let nameBytesMax = 128
    /// The longest body of a call that is neither blob nor manifest.
    static let bodyBytesMax = 64 << 10

    private let backend: any AgentBackend
    private let configuration: APIConfiguration
    private let budget: BodyBudget
    private let usage: APIUsage

    init(backend: any AgentBackend, configuration: APIConfiguration, usage: APIUsage) {
        self.backend = backend
        self.usage = usage
        self.configuration = configuration
        budget = usage.control
    }

    /// Answers the calls that only read.
    func read(
        _ route: APIRoute, request: Request, context: APIContext
    ) async throws -> Response {
        switch route {
        case .members: return try .document(await backend.members())
        case .models: return try .document(await backend.models())
        case .catalogueModel(let name):
            guard let model = await backend.models().models.first(where: { $0.name == name })
            else { throw unknown(name) }
            return try .document(ModelsDocument(models: [model]))
        case .plan(let name):
            switch await backend.plan(model: name) {
            case .plan(let document): return try .document(document)
            case .none(let reason): throw APIError.unavailable(reason)
            case .unknownModel: throw unknown(name)
            }
        case .blob(let text):
            guard await backend.hasBlob(try identity(text)) else {
                throw APIError.notFound("blob \(text) is not stored here")
            }
            return .versioned(["stored": .boolean(true)])
        case .manifest(let text):
            guard await backend.hasManifest(try identity(text)) else {
                throw APIError.notFound("manifest \(text) is not stored here")
            }
            return .versioned(["stored": .boolean(true)])
        case .events: return try await events(request, context: context)
        case .metrics:
            let families = await backend.metrics().families + usage.families
            return Response(
                status: .ok, headers: [.contentType: MetricText.contentType],
                body: ResponseBody(byteBuffer: ByteBuffer(string: MetricText.render(families))))
        default:
            var status = await backend.status()
            status.counters.merge(usage.counters) { $1 }
            return try .document(status)
        }
    }

    private func unknown(_ name: String) -> APIError {
        .notFound("the mesh has no model \"\(name.prefix(200))\"")
    }

    private func identity<Kind>(_ text: String) throws(APIError) -> Identity<Kind> {
        guard let identity = Identity<Kind>(hexadecimal: text) else {
            throw .badRequest("\"\(text.prefix(80))\" is not 64 hexadecimal digits")
        }
        return identity
    }

    // MARK: Events

    /// The events as one JSON object per line; with `follow=1` the stream stays open.
    private func events(_ request: Request, context: APIContext) async throws -> Response {
        let query = Self.query(of: request)
        var sequence: UInt64 = 0
        if let text = query["since"] {
            guard let number = UInt64(text) else {
                throw APIError.badRequest("the parameter since is not a number")
            }
            sequence = number
        }
        let follow = query["follow"] == "1" || query["follow"] == "true"
        if request.method == .head {
            return Response(status: .ok, headers: [.contentType: "application/x-ndjson"])
        }
        let stream = await backend.events(after: sequence, follow: follow)
        let channel = context.channel
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                let moved = MovedWriter(writer: writer)
                do {
                    try await ClientWatch.cancelling(on: channel) {
                        var target = moved.writer
                        for await event in stream {
                            try Task.checkCancellation()
                            var line = ByteBuffer()
                            line.writeBytes(try ControlJSON.bytes(of: event))
                            line.writeStaticString("\n")
                            try await target.write(line)
                        }
                    }
                } catch is CancellationError {
                    // The client went away, which is how following ends.
                }
                try await moved.writer.finish(nil)
            })
    }

    /// The parameters behind the path's `?`.
    static func query(of request: Request) -> [String: String] {
        let path = request.head.path ?? ""
        guard let mark = path.firstIndex(of: "?") else { return [:] }
        var result: [String: String] = [:]
        for pair in path[path.index(after: mark)...].split(separator: "&").prefix(16) {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard let name = parts.first.flatMap(APIRoute.percentDecoded) else { continue }
            result[name] = parts.count > 1 ? APIRoute.percentDecoded(parts[1]) ?? "" : ""
        }
        return result
    }

    // MARK: Changes

    /// Names a model: `{"name": ..., "manifest": ...}`.
    func addModel(_ request: Request) async throws -> Response {
        let body = try await BodyReader(budget: budget, limit: Self.bodyBytesMax)
            .withBody(of: request) { $0 }
        let value: JSONValue
        do {
            value = try JSONReader.read(Array(body.readableBytesView))
        } catch {
            throw APIError.badRequest("the request is not valid JSON: \(error)")
        }
        guard let name = value["name"]?.stringValue, let text = value["manifest"]?.stringValue
        else {
            throw APIError.badRequest("the request needs a name and a manifest")
        }
        try check(name: name)
        do {
            let settings = try value["settings"].flatMap { settings throws(APIError) in
                try ModelSettingsDocument(json: settings)
            }
            try await backend.addModel(
                named: name, manifest: try identity(text),
                settings: try settings?.settings() ?? ModelSettings())
        } catch let error as ControlError {
            throw APIError(error)
        }
        return .versioned(
            ["name": .string(name), "manifest": .string(text)], status: .created)
    }

    /// A name is a path component and is typed by people.
    private func check(name: String) throws(APIError) {
        let isFine =
            !name.isEmpty && name.utf8.count <= Self.nameBytesMax
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"),
                    UInt8(ascii: "."):
                    true
                default: false
                }
            } && !name.hasPrefix(".")
        guard isFine else {
            throw .badRequest(
                "a model's name has 1 to \(Self.nameBytesMax) letters, digits, \"-\", \"_\" and "
                    + "\".\", and does not begin with \".\"")
        }
    }

    /// Takes a name out of the mesh.
    func removeModel(_ name: String) async throws -> Response {
        do {
            try await backend.removeModel(named: name)
        } catch {
            throw APIError(error)
        }
        return .versioned(["name": .string(name), "removed": .boolean(true)])
    }

    /// Makes the agent leave; what comes after this answer goes on as after SIGTERM.
    func drain() async throws -> Response {
        do {
            try await backend.drain()
        } catch {
            throw APIError(error)
        }
        return .versioned(["leaving": .boolean(true)], status: .accepted)
    }

    /// Stores a blob as it arrives.
    func storeBlob(_ text: String, request: Request) async throws -> Response {
        let id: BlobID = try identity(text)
        guard let length = try BodyReader.contentLength(of: request) else {
            throw APIError(
                status: .lengthRequired, message: "an upload of a blob needs a Content-Length")
        }
        guard length <= configuration.blobBytesMax else {
            throw APIError.tooLarge(limit: configuration.blobBytesMax)
        }
        do {
            try await backend.storeBlob(id, byteCount: length, body: request.body)
        } catch {
            throw APIError(error)
        }
        return .versioned(["stored": .boolean(true)], status: .created)
    }

    /// Stores a manifest.
    func storeManifest(_ text: String, request: Request) async throws -> Response {
        let id: ManifestID = try identity(text)
        let limit = configuration.manifestBytesMax
        return try await BodyReader(budget: budget, limit: limit).withBody(of: request) { body in
            do {
                try await backend.storeManifest(id, bytes: body)
            } catch let error as ControlError {
                throw APIError(error)
            }
            return .versioned(["stored": .boolean(true)], status: .created)
        }
    }
}

/// How the documents of the control API become bytes.
enum ControlJSON {
    /// One line of JSON with its keys in order, so that equal documents are equal bytes.
    static func bytes(of document: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(document)
    }
}

extension Response {
    /// A response with a document of the control API.
    static func document(_ document: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try ControlJSON.bytes(of: document))))
    }

    /// A response of the control API: the object with the version of its form in front.
    static func versioned(
        _ value: JSONValue, status: HTTPResponse.Status = .ok
    ) -> Response {
        guard case .object(let members) = value else { return .json(value, status: status) }
        let version = JSONMember(name: "version", value: .integer(1 as Int64))
        return .json(.object([version] + members), status: status)
    }
}

/// A response writer on its way into the one task that uses it.
// Unchecked: the body's task gives it to one child, and uses it itself only after that one's end.
struct MovedWriter: @unchecked Sendable {
    var writer: any ResponseBodyWriter
}
