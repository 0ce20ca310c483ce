import Crypto
import Synchronization

/// What a caller may do; each right includes those before it.
public enum APIRight: String, CaseIterable, Comparable, Sendable {
    /// See the mesh: its members, models, plans, events and figures.
    case read
    /// Ask models.
    case infer
    /// Change anything.
    case admin

    /// Whether the left right is a part of the right one, and not all of it.
    public static func < (left: APIRight, right: APIRight) -> Bool {
        allCases.firstIndex(of: left) ?? 0 < allCases.firstIndex(of: right) ?? 0
    }
}

/// A token as the agent knows it: not the token itself, but its hash.
///
/// A plain hash is enough, because tokens are random and long: nobody finds one by trying.
public struct APIToken: Hashable, Sendable {
    /// What people call it.
    public var name: String
    /// What it allows.
    public var right: APIRight
    /// The SHA-256 of its text.
    public var digest: [UInt8]

    /// Makes a token of its parts.
    public init(name: String, right: APIRight, digest: [UInt8]) {
        self.name = name
        self.right = right
        self.digest = digest
    }

    /// Makes a token of its text, which is not kept.
    public init(name: String, right: APIRight, text: String) {
        self.init(name: name, right: right, digest: Array(SHA256.hash(data: Array(text.utf8))))
    }
}

/// The tokens that an agent's API takes; they may change while it serves.
public final class APITokens: Sendable {
    private let tokens: Mutex<[APIToken]>

    /// Takes these tokens.
    public init(_ tokens: [APIToken]) { self.tokens = Mutex(tokens) }

    /// Takes these tokens from now on, and no others.
    public func replace(_ tokens: [APIToken]) {
        self.tokens.withLock { $0 = tokens }
    }

    /// The token with this text; nil if there is none.
    ///
    /// How long that takes depends only on how many tokens there are and on the text's length.
    func token(_ text: String) -> APIToken? {
        let digest = Array(SHA256.hash(data: Array(text.utf8)))
        var found: APIToken?
        for token in tokens.withLock({ $0 }) where Self.isEqual(token.digest, digest) {
            found = token
        }
        return found
    }

    /// Whether two hashes are equal, in a time that does not depend on where they differ.
    static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for (one, other) in zip(left, right) { difference |= one ^ other }
        return difference == 0
    }
}
