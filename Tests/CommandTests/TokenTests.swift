import Glibc
import TesseraAPI
import TesseraNode
import Testing

@testable import tessera

@Suite struct TokenTests {
    private func withFolder(_ body: (String) throws -> Void) async throws {
        try await Files.withTemporaryFolder { folder in try body(folder) }
    }

    private func entry(_ name: String, _ right: APIRight = .read) -> TokenFile.Entry {
        TokenFile.Entry(
            token: APIToken(name: name, right: right, text: name), made: "2026-01-02T03:04:05.678Z")
    }

    @Test("tokens come back from their file as they were, and the file is its owner's alone")
    func thereAndBack() async throws {
        try await withFolder { folder in
            let file = TokenFile(dataFolder: folder + "/new/data")
            #expect(try file.read() == [])
            let entries = [entry("grafana"), entry("a.b-c_1", .admin), entry("x", .infer)]
            try file.change { $0 = entries }
            #expect(try file.read() == entries)
            let text = String(
                decoding: try Files.read(file.path, bytesMax: 1_000, what: "it"), as: UTF8.self)
            #expect(text == TokenFile.text(entries))
            #expect(!text.contains("grafana grafana"))
            #expect(FileStamp(file.path)?.mode == 0o600)
        }
    }

    @Test(
        "a file that is damaged is refused whole",
        arguments: [
            "a", "a read", "a read 00 t", "a write HASH t", "a read HASH", "a read HASHx t",
            "a read HASH t t", "a/b read HASH t", "a read HASH t\na read HASH t",
            String(repeating: "a", count: 64) + " read HASH t",
        ])
    func damaged(text: String) {
        let hash = String(repeating: "0a", count: 32)
        let file = TokenFile(dataFolder: "/nowhere")
        #expect(throws: CommandFailure.self) {
            try file.parse(
                text.split(separator: "HASH", omittingEmptySubsequences: false)
                    .joined(separator: hash))
        }
    }

    @Test("comments and empty lines are passed over; more tokens than allowed are refused")
    func bounds() throws {
        let file = TokenFile(dataFolder: "/nowhere")
        let text = TokenFile.text((0..<TokenFile.tokensMax).map { entry("t\($0)") })
        #expect(try file.parse("# by hand\n\n" + text).count == TokenFile.tokensMax)
        #expect(throws: CommandFailure.self) {
            try file.parse(text + TokenFile.text([entry("more")]))
        }
    }

    @Test("a file that others may write to is refused")
    func writable() async throws {
        try await withFolder { folder in
            let file = TokenFile(dataFolder: folder)
            try file.change { $0 = [entry("a")] }
            #expect(chmod(file.path, 0o620) == 0)
            #expect(throws: CommandFailure.self) { try file.read() }
        }
    }

    @Test("the agent's own token goes to addresses of this machine only")
    func ownHosts() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1"] {
            #expect(Machine.isOwn(host: host), "\(host)")
        }
        for host in ["example.com", "192.0.2.1", "127.evil.example", "", "2001:db8::1"] {
            #expect(!Machine.isOwn(host: host), "\(host)")
        }
    }

    @Test("two random tokens differ, and are long")
    func random() {
        #expect(RandomToken.make() != RandomToken.make())
        #expect(RandomToken.make().count == 64)
    }
}
