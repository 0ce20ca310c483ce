import Hummingbird

/// Decides whether a request may come in at all (architecture.md §8).
struct AccessControl: Sendable {
    private let hostNames: [String]
    private let accessToken: [UInt8]?
    private let adminToken: [UInt8]

    /// Takes the rules of a configuration.
    init(_ configuration: APIConfiguration) {
        // Nobody can make a browser call a literal address by another name; a wildcard is none.
        let names = configuration.hostNames + [configuration.host]
        hostNames =
            ["localhost", "127.0.0.1", "::1"]
            + names.map { $0.lowercased() }.filter { !["", "0.0.0.0", "::"].contains($0) }
        accessToken = configuration.accessToken.map { Array($0.utf8) }
        adminToken = Array(configuration.adminToken.utf8)
    }

    /// Checks where the request comes from and what token it has; what is public needs none.
    func check(_ request: Request, needsAdmin: Bool, isPublic: Bool) throws(APIError) {
        // Of a request without an origin, such as for an image, the browser still says whose page it
        // comes from. A link to the dashboard may stand anywhere.
        let site = request.headers[.secFetchSite] ?? "none"
        guard isPublic || site == "none" || site == "same-origin" else {
            throw .forbidden("requests from web pages of other origins are refused")
        }
        try check(
            authority: request.head.authority ?? "", origins: request.headers[values: .origin],
            authorization: request.headers[.authorization], needsAdmin: needsAdmin,
            isPublic: isPublic)
    }

    /// Checks where a call comes from and what token it has.
    func check(
        authority: String, origins: [String], authorization: String?, needsAdmin: Bool,
        isPublic: Bool = false
    ) throws(APIError) {
        guard let host = Self.host(of: authority), hostNames.contains(host.lowercased()) else {
            throw .forbidden(
                "the Host header names \"\(authority.prefix(100))\", which is neither loopback nor "
                    + "a host name that this agent's API is configured with")
        }
        // A browser sends the page's origin; only a page from here itself may call.
        let own = ["http://\(authority)", "https://\(authority)"]
        guard origins.allSatisfy({ own.contains($0) }) else {
            throw .forbidden("requests from web pages of other origins are refused")
        }
        let token = Self.bearerToken(authorization)
        if needsAdmin {
            guard let token, Self.isEqual(token, adminToken) else {
                throw .unauthorized(
                    "calls that change the mesh need the admin token from the agent's data folder "
                        + "as a bearer token")
            }
        } else if !isPublic, let accessToken {
            let isKnown = token.map { token in
                Self.isEqual(token, accessToken) || Self.isEqual(token, adminToken)
            }
            guard isKnown ?? false else {
                throw .unauthorized("this agent's API needs its token as a bearer token")
            }
        }
    }

    /// The host of `host`, `host:port`, `[host]` or `[host]:port`; nil for anything else.
    static func host(of authority: String) -> Substring? {
        let text = authority[...]
        let host: Substring
        let rest: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
        } else {
            let end = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<end]
            rest = text[end...]
        }
        guard !host.isEmpty else { return nil }
        if rest.isEmpty { return host }
        guard rest.hasPrefix(":"), rest.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return host
    }

    private static func bearerToken(_ header: String?) -> [UInt8]? {
        guard let header else { return nil }
        let parts = header.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return Array(parts[1].utf8)
    }

    /// Whether two tokens are equal, in a time that depends on neither's content.
    static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        var difference: UInt8 = left.count == right.count && !right.isEmpty ? 0 : 1
        for index in left.indices {
            difference |= left[index] ^ (right.isEmpty ? 0 : right[index % right.count])
        }
        return difference == 0
    }
}
