import TesseraNode

/// A token that nobody can guess.
enum RandomToken {
    /// Random bytes of a token.
    private static let byteCount = 32

    static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        let digits = Array("0123456789abcdef")
        var token = ""
        for _ in 0..<byteCount {
            let byte = Int.random(in: 0...255, using: &generator)
            token.append(digits[byte >> 4])
            token.append(digits[byte & 15])
        }
        return token
    }

    /// Whether a text is such a token.
    static func isOne(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 2 * byteCount
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

/// The token that allows to change the mesh through this agent: made at its first start, readable by
/// the agent's user only, and kept until `tessera token rotate`.
enum AdminToken {
    private static let bytesMax = 4_096

    static func path(in folder: String) -> String { "\(folder)/admin.token" }

    /// The token that is kept; throws if there is none, or none that only its owner knows.
    static func read(in folder: String) throws -> String {
        let path = path(in: folder)
        let bytes = try Files.read(path, bytesMax: bytesMax, what: "the admin token")
        let token = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        guard let stamp = FileStamp(path), stamp.mode & 0o077 == 0 else {
            throw CommandFailure(
                "others than the owner may read or write \(path). Make another token with `tessera "
                    + "token rotate`.")
        }
        guard RandomToken.isOne(token) else {
            throw CommandFailure(
                "what is in \(path) is no token of an agent. Make one with `tessera token rotate`.")
        }
        return token
    }

    static func write(_ token: String, in folder: String) throws {
        try PrivateFile.write(
            path(in: folder), Array((token + "\n").utf8), isOfFoldersOwner: true)
    }
}
