import TesseraCore
import Testing

@testable import TesseraNode

@Suite struct MeshSecretsTests {
    private let old = MeshSecret.generate()
    private let new = MeshSecret.generate()

    @Test("a file has the used secret and one more, and nothing else")
    func files() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/below/secret"
        try MeshSecrets(old).write(newFile: path)
        #expect(try MeshSecrets(file: path) == MeshSecrets(old))
        #expect(throws: StoredFileError.self) { try MeshSecrets(new).write(newFile: path) }
        try MeshSecrets(new, alsoAccepting: old).write(file: path)
        #expect(try folder.mode(of: "below/secret") == 0o600)
        let secrets = try MeshSecrets(file: path)
        #expect(secrets.used == new && secrets.alsoAccepted == old)
        #expect(try MeshSecrets(text: "\n \(new.text) \r\n\n\(old.text)") == secrets)
        #expect(throws: MeshSecretError.tooMany(3)) {
            try MeshSecrets(text: "\(new.text)\n\(old.text)\n\(new.text)")
        }
        #expect(throws: MeshSecretError.twice) { try MeshSecrets(text: "\(new.text)\n\(new.text)") }
        #expect(throws: MeshSecretError.unknownForm) { try MeshSecrets(text: "\n\n") }
        // Half a line, as a file has it that is being written.
        #expect(throws: MeshSecretError.self) {
            try MeshSecrets(text: "\(new.text)\n\(old.text.dropLast(9))")
        }
    }

    @Test("a secret is exchanged in three steps, in this order only")
    func steps() throws {
        let before = MeshSecrets(old)
        #expect(throws: MeshSecretError.notUnderWay) { try before.switched() }
        #expect(throws: MeshSecretError.notUnderWay) { try before.dropped() }
        #expect(throws: MeshSecretError.twice) { try before.accepting(before) }
        let accepting = try before.accepting(MeshSecrets(new))
        #expect(accepting == MeshSecrets(old, alsoAccepting: new))
        #expect(try accepting.accepting(MeshSecrets(new)) == accepting)
        #expect(throws: MeshSecretError.underWay) {
            try accepting.accepting(MeshSecrets(.generate()))
        }
        let using = try accepting.switched()
        #expect(using == MeshSecrets(new, alsoAccepting: old))
        #expect(try using.dropped() == MeshSecrets(new))
        // Another device gives the file as it has it, at whatever step it is.
        #expect(try before.accepting(accepting) == accepting)
        #expect(try before.accepting(using) == accepting)
    }

    @Test("each secret has keys of its own, and the used ones come first")
    func keyring() throws {
        let keyring = try MeshKeyring(MeshSecrets(new, alsoAccepting: old), name: "home")
        #expect(keyring.used.tag == keyring.tags.first)
        #expect(try keyring.tags == [new, old].map { try MeshKeys(secret: $0, name: "home").tag })
    }

    @Test("the leaf of either secret is accepted, and it is told which one it proves")
    func certificates() throws {
        let identity = NodeIdentity.test()
        func certificates(_ secrets: MeshSecrets) throws -> MeshCertificates {
            try MeshCertificates(
                keyring: MeshKeyring(secrets, name: "home"), identity: identity)
        }
        let both = try certificates(MeshSecrets(old, alsoAccepting: new))
        for secret in [old, new] {
            let peer = try certificates(MeshSecrets(secret))
            let proven = try both.check([peer.leaf]).get()
            #expect(proven.node == identity.node)
            #expect(try proven.tag == MeshKeys(secret: secret, name: "home").tag)
            #expect(both.refusal(of: [peer.authority]) == .notALeaf)
        }
        let dropped = try certificates(MeshSecrets(new))
        #expect(try dropped.refusal(of: [certificates(MeshSecrets(old)).leaf]) == .foreignMesh)
    }
}
