import Hummingbird

/// Decides whether a request may come in at all (architecture.md §8).
struct AccessControl: Sendable {
    /// Where a call says that it comes from, and what token it has.
    struct Caller {
        /// The host that it names.
        var authority: String
        /// The origins of the page that it comes from.
        var origins: [String] = []
        /// What the browser says of the page's relation to the API, if it is one.
        var site: String?
        /// The header field `Authorization`.
        var authorization: String?
    }

    private let hostNames: [String]
    private let tokens: APITokens
    private let anonymousRight: APIRight?
    private let metrics: RequestMetrics

    /// Takes the rules of a configuration; refused calls are counted.
    init(_ configuration: APIConfiguration, metrics: RequestMetrics) {
        // Nobody can make a browser call a literal address by another name; a wildcard is none.
        let names = configuration.hostNames + [configuration.host]
        hostNames =
            ["localhost", "127.0.0.1", "::1"]
            + names.map { $0.lowercased() }.filter { !["", "0.0.0.0", "::"].contains($0) }
        tokens = configuration.tokens
        anonymousRight = configuration.anonymousRight
        self.metrics = metrics
    }

    /// Checks where the request comes from and what token it has; what needs no right is public.
    func check(_ request: Request, needs right: APIRight?) throws(APIError) {
        let authority = request.head.authority ?? ""
        // The first host became the authority; another one is somebody's who hides something.
        guard request.headers[values: .host].allSatisfy({ $0 == authority }) else {
            metrics.note(.host)
            throw .badRequest("the request has several Host headers")
        }
        try check(
            Caller(
                authority: authority, origins: request.headers[values: .origin],
                site: request.headers[.secFetchSite],
                authorization: request.headers[.authorization]),
            needs: right)
    }

    /// Checks where a call comes from and what token it has.
    func check(_ caller: Caller, needs right: APIRight?) throws(APIError) {
        guard let host = Self.host(of: caller.authority), hostNames.contains(host.lowercased())
        else {
            metrics.note(.host)
            throw .forbidden(
                "the Host header names \"\(caller.authority.prefix(100))\", which is neither "
                    + "loopback nor a host name that this agent's API is configured with; call by "
                    + "a loopback name, or give the agent --api-host-name")
        }
        // A browser sends the page's origin; only a page from here itself may call. Of a request
        // without an origin, such as for an image, it still says whose page it comes from. A link
        // to the dashboard may stand anywhere.
        let own = ["http://\(caller.authority)", "https://\(caller.authority)"]
        let site = caller.site ?? "none"
        guard caller.origins.allSatisfy({ own.contains($0) }),
            right == nil || site == "none" || site == "same-origin"
        else {
            metrics.note(.origin)
            throw .forbidden("requests from web pages of other origins are refused")
        }
        guard let right else { return }
        if let anonymousRight, anonymousRight >= right { return }
        try checkToken(caller.authorization, needs: right)
    }

    private func checkToken(_ authorization: String?, needs right: APIRight) throws(APIError) {
        guard let token = Self.bearerToken(authorization).flatMap(tokens.token) else {
            metrics.note(.token)
            throw .unauthorized(
                (authorization == nil
                    ? "this call needs a token" : "the token of this call is not known here")
                    + ": present one with the right to \(right.rawValue) as "
                    + "\"Authorization: Bearer TOKEN\". `tessera token add` on the agent's machine "
                    + "makes one"
                    + (right == .admin ? "; admin.token in its data folder is one" : ""))
        }
        guard token.right >= right else {
            metrics.note(.right)
            throw .forbidden(
                "the token \"\(token.name)\" has the right to \(token.right.rawValue), and this "
                    + "call needs the right to \(right.rawValue); use another token")
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

    private static func bearerToken(_ header: String?) -> String? {
        guard let header else { return nil }
        let parts = header.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }
}
