import Logging
import NIOCore
import TesseraCore
import TesseraSimulator
import Testing

@testable import TesseraNode

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A journal of a real node, with its clock, its engine and its peers, replays exactly.
@Suite struct JournalNodeTests {
    private let folder: TemporaryFolder
    private let secret = MeshSecret.generate()

    init() throws { folder = try TemporaryFolder() }

    private func makeNode(_ name: String, seeds: [SeedAddress]) throws -> Node {
        try Node(
            NodeSettings(
                name: name, listen: Address(host: "127.0.0.1", port: 0),
                dataFolder: "\(folder.path)/\(name)", mesh: "journal",
                secrets: MeshSecrets(secret),
                discovery: .none, seeds: seeds, memoryBytes: 1 << 24, diskBytes: 1 << 24,
                threads: 1, journalFile: "\(folder.path)/\(name).journal"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Waits until the node knows so many members, each with what it measured of itself.
    private func comesToKnow(_ count: Int, _ node: Node) async -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(300)
        while clock.now < deadline {
            let members = await node.snapshot().members
            let isDone = members.allSatisfy { $0.record?.capability != nil && $0.isConnected }
            if isDone, members.count == count { return true }
            // Between two looks at the condition; a cancelled test ends by its deadline.
            try? await clock.sleep(for: .milliseconds(20))
        }
        return false
    }

    private func replay(_ name: String) throws -> Replay.Outcome {
        var replay = Replay()
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name).journal"))
        try replay.feed(ByteBuffer(bytes: data))
        return try #require(replay.outcome)
    }

    @Test("the journals of two nodes that meet, measure themselves and leave replay exactly")
    func exact() async throws {
        let first = try makeNode("first", seeds: [])
        let second = try makeNode(
            "second", seeds: [SeedAddress(host: "127.0.0.1", port: first.address.port)])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await first.run() }
            tasks.addTask { try await second.run() }
            for node in [first, second] { #expect(await comesToKnow(2, node)) }
            first.leave()
            second.leave()
            try await tasks.waitForAll()
        }
        for (name, node) in [("first", first), ("second", second)] {
            let outcome = try replay(name)
            #expect(outcome.node == node.member)
            #expect(outcome.name == name)
            #expect(outcome.difference == nil, "\(String(describing: outcome.difference))")
            #expect(outcome.events > 20)
            #expect(outcome.compared == outcome.events + 1)
            #expect(!outcome.isCut)
        }
    }

    @Test("a journal that is there is kept, and what is no plain file is left alone")
    func existing() throws {
        let settings = Agent.Settings(
            me: NodeBoot(node: NodeID(1, 0, 0, 0), boot: Boot(counter: 1, random: 1)), name: "one",
            address: Address(host: "127.0.0.1", port: 1), executionSlots: 1, seed: 1)
        try folder.write("an older one", to: "journal")
        let path = "\(folder.path)/journal"
        try JournalFile(path: path, settings: settings).close()
        #expect(try folder.read("journal.1") == "an older one")
        #expect(try folder.mode(of: "journal") == 0o600)
        #expect(throws: StoredFileError.self) {
            try JournalFile(path: "/dev/null", settings: settings)
        }
        #expect(throws: StoredFileError.self) {
            try JournalFile(path: "\(folder.path)/no/such/folder", settings: settings)
        }
    }
}
