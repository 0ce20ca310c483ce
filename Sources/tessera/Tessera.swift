import ArgumentParser
import TesseraCore
import TesseraNode

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The command line: the one place where the concrete types of every layer meet.
@main
struct Tessera: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tessera",
        abstract: "One machine for neural-network inference, made of the devices around you.",
        discussion: """
            Every device runs `tessera agent`; the other commands talk to an agent on this machine, \
            or to the one that --api names.

            Exit codes: 0 done, 1 failed, 2 nothing matched, 64 wrong usage, 69 agent not reachable. \
            `check` and `doctor` have those of monitoring plugins.
            """,
        version: Version.current,
        subcommands: [
            AgentCommand.self, MeshCommand.self, MembersCommand.self, StatusCommand.self,
            TokenCommand.self, ModelCommand.self, PlanCommand.self, InferCommand.self,
            EventsCommand.self,
            TopCommand.self, CheckCommand.self, DrainCommand.self, DoctorCommand.self,
            SimulateCommand.self, VersionCommand.self,
        ])

    /// Runs a command and turns its failure into a message and an exit code.
    static func main() async {
        // First thing, before there are threads: it sets an environment variable.
        Discovery.prepareProcess()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Console.message("error: \(failure.message)")
            ProcessEnd.now(failure.code.rawValue)
        } catch {
            // Asking for help or the version is thrown too, with a code of its own.
            let code = exitCode(for: error).rawValue
            let text = fullMessage(for: error)
            if code == 0 {
                Console.line(text)
            } else if !text.isEmpty {
                Console.message(text)
            }
            ProcessEnd.now(code)
        }
        ProcessEnd.now(0)
    }
}

/// The one way for the process to end.
enum ProcessEnd {
    /// Ends the process at once.
    ///
    /// Ending in the usual way destroys the static objects of C++ libraries while their threads may
    /// still use them: an agent that ends while its engine compiles would crash. What must last is
    /// on disk before it is acknowledged, so nothing waits for the engine.
    static func now(_ code: Int32) -> Never {
        fflush(nil)
        _exit(code)
    }
}
