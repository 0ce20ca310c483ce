public import TesseraCore

/// One thing that goes wrong, at a time of the run; what lasts is over at the latest when the run
/// heals.
public enum Fault: Hashable, Sendable {
    /// Whom a fault strikes: a node by its number, or whoever plays a part at that time.
    public enum Target: Hashable, Sendable {
        /// This node.
        case node(Int)
        /// The node that began the newest round of agreement.
        case proposer
        /// The node that hands out the tickets of the current plan.
        case gate
        /// The node with the most open requests.
        case entry
        /// The node of the current plan's last stage.
        case lastStage
        /// Entry and gate at once.
        case entryAndGate
    }

    /// How a process ends.
    public enum Ending: String, Hashable, Sendable, CaseIterable {
        /// Without a word; peers see their connections break.
        case crash
        /// The device loses power: nobody sees a connection break until silence tells.
        case powerLoss
    }

    /// What a device that starts again finds on its disk.
    public enum Disk: String, Hashable, Sendable, CaseIterable {
        /// All that was written.
        case whole
        /// All but the last write.
        case withoutLastWrite
        /// Nothing: it is another node from then on.
        case empty
    }

    /// What an engine does wrong.
    public enum Trouble: String, Hashable, Sendable, CaseIterable {
        /// Fragments do not load.
        case loadFails
        /// Fragments do not load, and runs fail, for lack of memory.
        case outOfMemory
        /// Every third run fails.
        case runsFail
        /// A run ends the process.
        case runsCrash
    }

    /// A kind of message whose loss is nasty.
    public enum Message: String, Hashable, Sendable, CaseIterable {
        case gone
        case cancel
        case tickets
        case ticketReturn
        case promise
        case ready
        case accepted
        case decided
    }

    /// What discovery tells that is not so.
    public enum Rumour: String, Hashable, Sendable, CaseIterable {
        /// An address where nobody is any more.
        case stale
        /// What was told already, many times.
        case duplicate
        /// The address of one node under the name of another one's.
        case swapped
    }

    /// What an operator does in between.
    public enum Command: String, Hashable, Sendable, CaseIterable {
        /// Adds a second model.
        case addModel
        /// Removes the second model.
        case removeModel
        /// Wants the first model planned for least latency.
        case wantLatency
        /// Wants the first model planned as usual again.
        case wantThroughput
    }

    /// The process ends; it starts again after the span, or with the healing.
    case stop(Target, Ending, backAfter: TimeSpan?, Disk)
    /// The process stops running and goes on later as if nothing had been (SIGSTOP, a long stall).
    case pause(Target, TimeSpan)
    /// An operator's SIGTERM.
    case leave(Int)
    /// A node that was not there before starts.
    case join(Int)
    /// Nothing passes from one node to another; the other way is open.
    case cut(from: Int, to: Int, TimeSpan)
    /// Nothing passes between the target and all others: it is lost and returns in the same boot.
    case isolate(Target, TimeSpan)
    /// Nothing passes between the nodes whose bits are set and the others.
    case split(UInt64, TimeSpan)
    /// What is sent from one node to another arrives only after the span.
    case clog(from: Int, to: Int, TimeSpan)
    /// Links are clogged one by one, and freed in another order (FoundationDB's swizzle).
    case swizzle(TimeSpan)
    /// The connection between two nodes breaks; both live.
    case breakConnection(Int, Int)
    /// The connection breaks under the next messages of a kind, so that they are lost.
    case lose(Message, count: Int)
    /// The next node that promises something to another one restarts right after: its vote is one of
    /// a run that is no more.
    case restartVoter(backAfter: TimeSpan)
    /// Engine runs take so many percent of their time.
    case slow(Target, percent: Int, TimeSpan)
    /// The engine does something wrong.
    case trouble(Target, Trouble, TimeSpan)
    /// Plans take so long.
    case slowPlanning(TimeSpan, for: TimeSpan)
    /// Discovery tells something that is not so.
    case discovery(Rumour, Int)
    /// So many requests come in at once.
    case burst(Target, count: Int)
    /// The clients of a node go away.
    case cancel(Target)
    /// An operator does something.
    case command(Command, at: Int)
    /// A blob on a node's disk turns out to be damaged.
    case damage(Int)
}

/// A fault and its time.
public struct TimedFault: Hashable, Sendable {
    /// When.
    public var at: Timestamp
    /// What.
    public var fault: Fault

    /// Makes a timed fault.
    public init(at: Timestamp, fault: Fault) {
        self.at = at
        self.fault = fault
    }
}

// MARK: - Text

extension Fault.Target: CustomStringConvertible {
    /// For people.
    public var description: String {
        switch self {
        case .node(let index): "node \(index)"
        case .proposer: "the proposer"
        case .gate: "the gate"
        case .entry: "the busiest entry"
        case .lastStage: "the last stage"
        case .entryAndGate: "the busiest entry and the gate"
        }
    }
}

extension Fault: CustomStringConvertible {
    /// For people.
    public var description: String {
        func time(_ span: TimeSpan) -> String { "\(span.milliseconds) ms" }
        return switch self {
        case .stop(let target, let ending, let back, let disk):
            "\(ending.rawValue) of \(target)"
                + (back.map { ", back after \(time($0)) with disk \(disk.rawValue)" } ?? "")
        case .pause(let target, let span): "pause of \(target) for \(time(span))"
        case .leave(let node): "node \(node) leaves"
        case .join(let node): "node \(node) joins"
        case .cut(let from, let to, let span): "cut from \(from) to \(to) for \(time(span))"
        case .isolate(let target, let span): "\(target) cut off for \(time(span))"
        case .split(let mask, let span):
            "split off \((0..<64).filter { mask >> UInt64($0) & 1 == 1 }) for \(time(span))"
        case .clog(let from, let to, let span): "clog from \(from) to \(to) for \(time(span))"
        case .swizzle(let span): "links clogged one by one for \(time(span))"
        case .breakConnection(let one, let other): "connection of \(one) and \(other) breaks"
        case .lose(let message, let count): "\(count) \(message.rawValue) messages are lost"
        case .restartVoter(let back): "the next voter restarts, back after \(time(back))"
        case .slow(let target, let percent, let span):
            "\(target) runs at \(percent) % of its time for \(time(span))"
        case .trouble(let target, let trouble, let span):
            "\(trouble.rawValue) at \(target) for \(time(span))"
        case .slowPlanning(let each, let span):
            "plans take \(time(each)) for \(time(span))"
        case .discovery(let rumour, let node): "\(rumour.rawValue) discovery of \(node)"
        case .burst(let target, let count): "\(count) requests at once at \(target)"
        case .cancel(let target): "clients of \(target) go away"
        case .command(let command, let node): "\(command.rawValue) at \(node)"
        case .damage(let node): "a blob of \(node) is damaged"
        }
    }
}

extension TimedFault: CustomStringConvertible {
    /// For people.
    public var description: String { "\(at.nanoseconds / 1_000_000) ms: \(fault)" }
}
