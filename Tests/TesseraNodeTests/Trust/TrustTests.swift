import Crypto
import NIOSSL
import TesseraCore
import Testing

@testable import TesseraNode

@Suite("Keys, identity and certificates")
struct TrustTests {
    private static let boot = Boot(counter: 1, random: 7)

    @Test("keys depend on secret, name and generation, and on nothing else")
    func keys() throws {
        let secret = MeshSecret.generate()
        let one = try MeshKeys(secret: secret, name: "home")
        let same = try MeshKeys(secret: secret, name: "home")
        #expect(one.tag == same.tag && one.gossip == same.gossip && one.beacon == same.beacon)
        #expect(one.authority.rawRepresentation == same.authority.rawRepresentation)
        #expect(one.tag.count == 16)
        let others = [
            try MeshKeys(secret: .generate(), name: "home"),
            try MeshKeys(secret: secret, name: "Home"),
            try MeshKeys(secret: secret, name: "home", generation: 2),
        ]
        for other in others {
            #expect(one.tag != other.tag && one.gossip != other.gossip)
            #expect(one.beacon != other.beacon)
            #expect(one.authority.rawRepresentation != other.authority.rawRepresentation)
        }
        #expect(one.gossip != one.beacon)
    }

    @Test("mesh names that cannot be printed or are too long are refused")
    func names() {
        for name in ["", "a\nb", "\u{7F}", String(repeating: "x", count: 64)] {
            #expect(throws: MeshKeysError.badName(name)) {
                try MeshKeys(secret: .generate(), name: name)
            }
        }
        #expect(throws: Never.self) { try MeshKeys(secret: .generate(), name: "küche 2") }
    }

    @Test("a data folder keeps the node and counts its runs")
    func persistence() throws {
        let folder = try TemporaryFolder()
        let data = folder.path + "/a/b"
        let first = try NodeIdentity(dataFolder: data).member
        let second = try NodeIdentity(dataFolder: data).member
        let third = try NodeIdentity(dataFolder: data).member
        #expect(first.node == second.node && second.node == third.node)
        #expect([first, second, third].map(\.boot.counter) == [1, 2, 3])
        #expect(first.boot.random != second.boot.random)
        #expect(try folder.mode(of: "a/b/identity.key") == 0o600)
    }

    @Test("two agents cannot use one data folder")
    func locked() throws {
        let folder = try TemporaryFolder()
        let running = try NodeIdentity(dataFolder: folder.path)
        #expect(throws: NodeIdentityError.self) { try NodeIdentity(dataFolder: folder.path) }
        #expect(running.boot.counter == 1)
    }

    @Test("damaged identity files are named and left as they are")
    func damage() throws {
        let folder = try TemporaryFolder()
        _ = try NodeIdentity(dataFolder: folder.path)
        let key = try folder.read("identity.key")
        let boot = try folder.read("boot")
        var flipped = Array(key)
        flipped[30] = flipped[30] == "0" ? "1" : "0"
        for wrong in ["", "garbage", String(key.dropLast(3)), String(flipped)] {
            try folder.write(wrong, to: "identity.key")
            let error = #expect(throws: NodeIdentityError.self) {
                try NodeIdentity(dataFolder: folder.path)
            }
            #expect(error?.description.contains("identity.key is damaged") == true)
            #expect(try folder.read("identity.key") == wrong)
        }
        try folder.write(key, to: "identity.key", mode: 0o640)
        #expect(
            throws: NodeIdentityError.exposed(
                path: folder.path + "/identity.key", mode: "0640")
        ) { try NodeIdentity(dataFolder: folder.path) }
        try folder.write(key, to: "identity.key")
        for wrong in ["", boot.replacing("\n1\n", with: "\n2\n"), String(boot.dropLast(4))] {
            try folder.write(wrong, to: "boot")
            let error = #expect(throws: NodeIdentityError.self) {
                try NodeIdentity(dataFolder: folder.path)
            }
            #expect(error?.description.contains("boot is damaged") == true)
            #expect(try folder.read("boot") == wrong)
        }
        try folder.remove("boot")
        #expect(
            throws: NodeIdentityError.counterMissing(
                path: folder.path + "/boot", keyPath: folder.path + "/identity.key")
        ) { try NodeIdentity(dataFolder: folder.path) }
    }

    @Test("a data folder that cannot be made gives the reason")
    func unwritable() {
        let error = #expect(throws: NodeIdentityError.self) {
            try NodeIdentity(dataFolder: "/proc/tessera-data")
        }
        #expect(error?.description.contains("/proc/tessera-data") == true)
    }

    @Test("signatures hold for their bytes and their owner only")
    func signatures() throws {
        let one = NodeIdentity(ephemeralBoot: Self.boot)
        let two = NodeIdentity(ephemeralBoot: Self.boot)
        let bytes: [UInt8] = [1, 2, 3]
        let signature = try one.sign(bytes)
        #expect(NodeIdentity.verify(signature, of: bytes, publicKey: one.publicKey))
        #expect(!NodeIdentity.verify(signature, of: bytes, publicKey: two.publicKey))
        #expect(!NodeIdentity.verify(signature, of: [1, 2], publicKey: one.publicKey))
        #expect(!NodeIdentity.verify([], of: bytes, publicKey: one.publicKey))
        #expect(!NodeIdentity.verify(signature, of: bytes, publicKey: [4]))
        #expect(NodeIdentity.node(of: one.publicKey) == one.node)
    }

    @Test("a leaf of the mesh names its node, one of another mesh is refused")
    func certificates() throws {
        let secret = MeshSecret.generate()
        let keys = try MeshKeys(secret: secret, name: "home")
        let identity = NodeIdentity(ephemeralBoot: Self.boot)
        let own = try MeshCertificates(keyring: MeshKeyring(keys), identity: identity)
        let fellow = try MeshCertificates(
            keyring: MeshKeyring(MeshKeys(secret: secret, name: "home")),
            identity: NodeIdentity(ephemeralBoot: Self.boot))
        #expect(try fellow.check([own.leaf]).get().node == identity.node)
        #expect(fellow.refusal(of: []) == .wrongCount(0))
        #expect(fellow.refusal(of: [own.leaf, own.leaf]) == .wrongCount(2))
        #expect(fellow.refusal(of: [own.authority]) == .notALeaf)
        for (secret, name) in [(MeshSecret.generate(), "home"), (secret, "other")] {
            let foreign = try MeshCertificates(
                keyring: MeshKeyring(MeshKeys(secret: secret, name: name)), identity: identity)
            #expect(fellow.refusal(of: [foreign.leaf]) == .foreignMesh)
        }
    }
}

extension MeshCertificates {
    /// Why certificates are refused; nil if they are not.
    func refusal(of chain: [NIOSSLCertificate]) -> CertificateRefusal? {
        if case .failure(let refusal) = check(chain) { refusal } else { nil }
    }
}
