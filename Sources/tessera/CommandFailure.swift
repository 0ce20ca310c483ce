/// What the process says with its exit code, in every command.
enum CommandExit: Int32, Sendable {
    /// The command failed.
    case failed = 1
    /// What the command asks for is not there.
    case nothingMatched = 2
    /// The command was called wrongly (EX_USAGE).
    case usage = 64
    /// No agent answers (EX_UNAVAILABLE).
    case unreachable = 69
}

/// The end of a command that did not do what it was asked: what happened, why, what to do next.
struct CommandFailure: Error, Equatable, Sendable {
    /// What the process says with its exit code.
    var code: CommandExit
    /// For people.
    var message: String

    init(_ message: String, code: CommandExit = .failed) {
        self.code = code
        self.message = message
    }
}
