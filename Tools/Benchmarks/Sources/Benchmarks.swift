import ArgumentParser
import TesseraNode

/// The measuring ends of `Tools/Benchmarks/run`: each subcommand is one process of a benchmark.
///
/// They print one line of JSON for each command that they read from standard input, so that the
/// script can interleave what it compares. Everything that would blur a figure (a slow client, a
/// shared process) is kept out of them.
@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tessera-benchmarks",
        abstract: "The processes that Tools/Benchmarks/run starts and compares.",
        subcommands: [
            EngineCommand.self, ClientCommand.self, TransportCommand.self, PlanningCommand.self,
            CodecsCommand.self,
        ])

    static func main() {
        // First thing, before there are threads: it sets an environment variable.
        Discovery.prepareProcess()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            exit(withError: error)
        }
    }
}
