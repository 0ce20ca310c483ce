import DashboardFiles
import Hummingbird
import NIOCore

/// A file of the dashboard: the page at `/`, and what it loads from `/dashboard/`.
struct DashboardFile: Hashable, Sendable {
    /// Its name, with the ending.
    let name: String
    private let type: String
    private let bytes: ByteBuffer
    private let tag: String

    /// Every file, by name.
    private static let all: [String: DashboardFile] = {
        var files: [String: DashboardFile] = [:]
        for index in 0..<tessera_dashboard_file_count() {
            let file = DashboardFile(tessera_dashboard_file_at(index))
            files[file.name] = file
        }
        return files
    }()

    /// The page itself.
    static let page = "index.html"

    /// The file of a name; nil if there is none.
    init?(named name: String) {
        guard let file = Self.all[name] else { return nil }
        self = file
    }

    private init(_ file: tessera_dashboard_file) {
        name = String(cString: file.name)
        bytes = ByteBuffer(bytes: UnsafeBufferPointer(start: file.bytes, count: file.count))
        type =
            switch name.split(separator: ".").last {
            case "html": "text/html; charset=utf-8"
            case "css": "text/css; charset=utf-8"
            case "js": "text/javascript; charset=utf-8"
            default: "image/svg+xml"
            }
        // FNV-1a: only has to differ when the file does.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes.readableBytesView { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        tag = "\"\(String(hash, radix: 16))\""
    }

    /// What the page may do: load scripts and styles from here, talk to this agent, and show images
    /// that the person chose.
    ///
    /// No script or style in the page itself, nothing from elsewhere, no frames.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    /// The answer to a request for the file.
    func response(to request: Request) -> Response {
        var headers: HTTPFields = [
            .contentType: type, .cacheControl: "no-cache", .eTag: tag,
            .contentSecurityPolicy: Self.policy, .xContentTypeOptions: "nosniff",
            .crossOriginResourcePolicy: "same-origin",
        ]
        headers[.referrerPolicy] = "no-referrer"
        if request.headers[.ifNoneMatch] == tag {
            return Response(status: .notModified, headers: headers)
        }
        return Response(
            status: .ok, headers: headers, body: ResponseBody(byteBuffer: bytes))
    }
}

extension HeaderName {
    /// What other pages learn of where a link was.
    static let referrerPolicy = known("Referrer-Policy")
    /// How the page that sent a request stands to this server, as its browser says.
    static let secFetchSite = known("Sec-Fetch-Site")

    private static func known(_ name: String) -> HeaderName {
        guard let name = HeaderName(name) else {
            fatalError("a header name of letters and hyphens is not accepted")
        }
        return name
    }
}
