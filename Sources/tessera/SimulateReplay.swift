import NIOCore
import TesseraAPI
import TesseraCore
import TesseraSimulator

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `simulate --replay --json`.
struct ReplayDocument: Codable {
    /// The first event after which this core asks for something else.
    struct Difference: Codable {
        /// Counted from 1; 0 is the agent's start.
        var event: Int
        /// Since the agent's start.
        var milliseconds: Int64
        /// The event in words.
        var what: String
        /// How many directives the agent's core gave.
        var expectedDirectives: Int
        /// What this core gives, in words.
        var directives: [String]
    }
    /// The version of this form.
    var version = controlVersion
    /// The version of the agent that wrote the journal.
    var release: String
    /// The agent's identity.
    var node: String
    /// Its name.
    var name: String
    /// Events fed to the core.
    var events: Int
    /// Directives that it gave.
    var directives: Int
    /// Events whose directives were compared and equal.
    var equalEvents: Int
    /// From the start to the last event.
    var milliseconds: Int64
    /// Whether the journal ends within a record, as after a crash.
    var isCut: Bool
    /// What differs, if anything.
    var difference: Difference?
}

/// Feeds an agent's journal to this build's core.
struct SimulateReplay {
    let path: String
    let isVerbose: Bool

    /// Bytes that are read at once.
    private static let chunkBytes = 1 << 20

    func run(_ isJSON: Bool) throws {
        var replay = Replay()
        if isVerbose, !isJSON {
            replay.observer = { time, report in Console.line("  \(time.milliseconds) ms: \(report)")
            }
        }
        try feed(&replay)
        guard let outcome = replay.outcome else {
            throw CommandFailure(
                "the journal \(path) is empty: `tessera agent --journal FILE` writes one.")
        }
        let started = outcome.span
        if isJSON {
            Console.line(try JSONText.pretty(document(outcome)))
        } else {
            Console.line(
                "node \(outcome.name) \(outcome.node.node), version \(outcome.release): "
                    + "\(outcome.events) events in \(started.milliseconds) ms, "
                    + "\(outcome.directives) directives, equal after \(outcome.compared) of them"
                    + (outcome.isCut ? "; the journal ends within a record" : ""))
        }
        guard let difference = outcome.difference else { return }
        throw CommandFailure(text(difference, outcome))
    }

    private func feed(_ replay: inout Replay) throws {
        _ = try Files.size(of: path, what: "the journal")
        do {
            let data = try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
            for start in stride(from: 0, to: data.count, by: Self.chunkBytes) {
                let end = min(start + Self.chunkBytes, data.count)
                try replay.feed(ByteBuffer(bytes: data[start..<end]))
            }
        } catch let error as ReplayError {
            throw CommandFailure("the journal \(path) cannot be replayed: \(error).")
        } catch {
            throw CommandFailure("the journal \(path) cannot be read: \(error).")
        }
    }

    private func document(_ outcome: Replay.Outcome) -> ReplayDocument {
        ReplayDocument(
            release: outcome.release, node: outcome.node.node.hexadecimal, name: outcome.name,
            events: outcome.events, directives: outcome.directives, equalEvents: outcome.compared,
            milliseconds: outcome.span.milliseconds, isCut: outcome.isCut,
            difference: outcome.difference.map { difference in
                ReplayDocument.Difference(
                    event: difference.event, milliseconds: outcome.span.milliseconds,
                    what: difference.what, expectedDirectives: difference.expectedCount,
                    directives: difference.directives)
            })
    }

    private func text(_ difference: Replay.Difference, _ outcome: Replay.Outcome) -> String {
        let same =
            outcome.release == Version.current
            ? "Was the agent built from the same commit?"
            : "The agent had version \(outcome.release), this is \(Version.current)."
        let lines =
            [
                "this core differs from the agent's after event \(difference.event), at "
                    + "\(outcome.span.milliseconds) ms: \(difference.what)",
                "The agent's core gave \(difference.expectedCount) directives; this one gives:",
            ] + difference.directives.map { "  \($0)" } + [same]
        return lines.joined(separator: "\n")
    }
}
