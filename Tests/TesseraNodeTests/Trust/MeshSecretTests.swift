import Testing

@testable import TesseraNode

@Suite("Mesh secret")
struct MeshSecretTests {
    @Test("the text form gives the same secret back")
    func textRoundTrip() throws {
        for _ in 0..<50 {
            let secret = MeshSecret.generate()
            #expect(secret.text.count == 65)
            #expect(try MeshSecret(text: secret.text) == secret)
            #expect(try MeshSecret(text: "  \(secret.text.uppercased())\n") == secret)
        }
        #expect(MeshSecret.generate() != MeshSecret.generate())
    }

    @Test("every wrong character and every swap of two neighbours is found")
    func typingErrors() {
        let text = Array(MeshSecret.generate().text)
        for index in MeshSecret.prefix.count..<text.count {
            var wrong = text
            wrong[index] = text[index] == "a" ? "b" : "a"
            #expect(throws: MeshSecretError.badChecksum) { try MeshSecret(text: String(wrong)) }
            if index + 1 < text.count, text[index] != text[index + 1] {
                var swapped = text
                swapped.swapAt(index, index + 1)
                #expect(throws: MeshSecretError.badChecksum) {
                    try MeshSecret(text: String(swapped))
                }
            }
        }
    }

    @Test("malformed texts are refused with their reason")
    func malformed() {
        let good = MeshSecret.generate().text
        #expect(throws: MeshSecretError.unknownForm) { try MeshSecret(text: "") }
        #expect(throws: MeshSecretError.unknownForm) { try MeshSecret(text: "password") }
        #expect(throws: MeshSecretError.wrongLength(characters: 64, expected: 65)) {
            try MeshSecret(text: String(good.dropLast()))
        }
        #expect(throws: MeshSecretError.badCharacter("1")) {
            try MeshSecret(text: String(good.dropLast()) + "1")
        }
        #expect(throws: MeshSecretError.badCharacter("é")) {
            try MeshSecret(text: String(good.dropLast()) + "é")
        }
    }

    @Test("a secret that nobody drew at random is refused")
    func weak() {
        // 32 zero bytes with their right checksum.
        #expect(throws: MeshSecretError.weak) { try MeshSecret(text: Self.zeroSecretText) }
    }

    @Test("a secret's file must belong to its owner alone")
    func files() throws {
        let folder = try TemporaryFolder()
        let secret = MeshSecret.generate()
        let path = folder.path + "/secret"
        try secret.write(newFile: path)
        #expect(try folder.mode(of: "secret") == 0o600)
        #expect(try MeshSecret(file: path) == secret)
        #expect(throws: StoredFileError.self) { try secret.write(newFile: path) }
        try folder.write(secret.text, to: "open", mode: 0o644)
        #expect(throws: MeshSecretError.exposed(path: folder.path + "/open", mode: "0644")) {
            try MeshSecret(file: folder.path + "/open")
        }
        #expect(throws: MeshSecretError.self) { try MeshSecret(file: folder.path + "/none") }
        #expect(throws: MeshSecretError.self) { try MeshSecret(file: folder.path) }
        try folder.write(String(repeating: "x", count: 5_000), to: "long")
        #expect(throws: MeshSecretError.self) { try MeshSecret(file: folder.path + "/long") }
    }

    @Test("descriptions never show the bits")
    func hidden() {
        let secret = MeshSecret.generate()
        var dumped = ""
        dump(secret, to: &dumped)
        #expect("\(secret)" == "MeshSecret(hidden)")
        #expect(!dumped.contains("bytes") && !String(reflecting: secret).contains("["))
    }

    /// The checksum's 24 bits are in the last five digits, after one bit of the secret.
    private static let zeroSecretText =
        MeshSecret.prefix + String(repeating: "a", count: 51) + "kwiab"
}
