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
}

/// The token that allows to change the mesh through this agent: made anew at each start, readable
/// by the agent's user only.
enum AdminToken {
    static func write(_ token: String, in folder: String) throws {
        try PrivateFile.write("\(folder)/admin.token", Array((token + "\n").utf8))
    }
}
