import ArgumentParser
import TesseraAPI
import TesseraCore

/// What `version --json` prints.
struct VersionDocument: Codable {
    /// The version of this program.
    static let program = Version.current

    /// The version of this form.
    var version = controlVersion
    /// The version of this program.
    var release = program
    /// The version of the protocol between agents.
    var wireProtocol = Version.wireProtocol
}

/// `tessera version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version of this program.")

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    func run() throws {
        let document = VersionDocument()
        if isJSON {
            Console.line(try JSONText.pretty(document))
        } else {
            Console.line("tessera \(document.release), protocol \(document.wireProtocol)")
        }
    }
}
