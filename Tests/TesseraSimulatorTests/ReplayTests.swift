import NIOCore
import TesseraCore
import Testing

@testable import TesseraSimulator
@testable import TesseraWire

/// A core that is given what another one was given asks for what that one asked for.
@Suite struct ReplayTests {
    /// The journals of every run of a simulation.
    private static func journals(seed: UInt64) throws -> [[JournalRecord]] {
        let simulation = Simulation(.drawn(seed: seed, length: .short))
        var records: [Int: [JournalRecord]] = [:]
        simulation.journal = { run, record in records[run, default: []].append(record) }
        #expect(simulation.run().violation == nil)
        return records.keys.sorted().compactMap { records[$0] }
    }

    private static func bytes(_ records: [JournalRecord]) throws -> ByteBuffer {
        var bytes = JournalFormat.front
        for record in records {
            var one = try JournalFormat.encode(record)
            bytes.writeBuffer(&one)
        }
        return bytes
    }

    private static func replay(_ records: [JournalRecord]) throws -> Replay.Outcome {
        var replay = Replay()
        try replay.feed(bytes(records))
        return try #require(replay.outcome)
    }

    @Test("the journals of simulated agents replay exactly", arguments: UInt64(1)...6)
    func exact(seed: UInt64) throws {
        for journal in try Self.journals(seed: seed) {
            let outcome = try Self.replay(journal)
            #expect(outcome.difference == nil)
            let events = journal.count { if case .event = $0 { true } else { false } }
            #expect(outcome.events == events)
            #expect(outcome.compared == events + 1)
            #expect(!outcome.isCut)
        }
    }

    @Test("the first event after which the core asks for something else is told")
    func difference() throws {
        var journal = try #require(Self.journals(seed: 2).first)
        let place = try #require(
            journal.indices.last { index in
                guard index < journal.count / 2, case .directives = journal[index] else {
                    return false
                }
                return true
            })
        journal[place] = .directives(DirectiveFingerprint(value: 1, count: 2))
        let number = journal[...place].count { if case .event = $0 { true } else { false } }
        let difference = try #require(try Self.replay(journal).difference)
        #expect(difference.event == number)
        #expect(difference.expectedCount == 2)
    }

    @Test("a journal that ends within a record is replayed up to there")
    func cut() throws {
        let journal = try #require(Self.journals(seed: 3).first)
        var bytes = try Self.bytes(journal)
        var replay = Replay()
        let piece = bytes.readSlice(length: bytes.readableBytes - 5)
        try replay.feed(try #require(piece))
        let outcome = try #require(replay.outcome)
        #expect(outcome.isCut)
        #expect(outcome.difference == nil)
        #expect(outcome.events > 100)
    }

    @Test("records out of place are refused")
    func misplaced() throws {
        let journal = try #require(Self.journals(seed: 1).first)
        for wrong in [
            [journal[0], journal[0]], [journal[1]], [journal[0], journal[3]],
            [journal[0], journal[2]],
        ] {
            #expect(throws: ReplayError.self) { try Self.replay(wrong) }
        }
    }
}
