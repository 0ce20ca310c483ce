import ArgumentParser
import Foundation

/// `tessera-benchmarks client`: requests to one or several agents over HTTP.
struct ClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client", abstract: "Send one prepared request to agents, again and again.",
        discussion: """
            Reads commands: `run COUNT` sends one request after the other over one connection; \
            `stream MILLISECONDS CONCURRENCY` keeps so many requests open, each over a connection \
            of its own, spread over the agents in turn; `output` gives the body of the last answer \
            behind its JSON, in base64.
            """)

    @Argument(help: "The agents' APIs, each HOST:PORT with a numeric address.")
    var agents: [String]

    @Option(help: "The path that is posted to.")
    var path: String

    @Option(help: "A file with the body: JSON, then the tensors' bytes.")
    var body: String

    @Option(name: .customLong("header-length"), help: "The bytes of JSON in the body.")
    var headerLength: Int

    func run() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: body))
        let requests = agents.map { agent in
            let head = """
                POST \(path) HTTP/1.1\r\nHost: \(agent)\r\n\
                Content-Type: application/octet-stream\r\nContent-Length: \(data.count)\r\n\
                Inference-Header-Content-Length: \(headerLength)\r\n\r\n
                """
            return Array(head.utf8) + Array(data)
        }
        func connection(_ index: Int) throws -> HTTPConnection {
            let agent = index % agents.count
            return try HTTPConnection(to: agents[agent], request: requests[agent])
        }
        let first = try connection(0)
        try Output.line(["requestBytes": requests[0].count])
        while let command = try Command.next() {
            switch command.word {
            case "run":
                try Output.line(try Repetition.times(try command.number(0)) { try first.call() })
            case "stream":
                let connections = try (0..<command.number(1)).map(connection)
                let ends = Repetition.stream(
                    milliseconds: try command.number(0),
                    connections.map { connection in { try connection.call() } })
                try Output.line(ends)
            case "output":
                try first.call()
                try Output.line(["base64": first.binaryOutput.base64EncodedString()])
            default: throw BenchmarkError("unknown command \"\(command.word)\"")
            }
        }
    }
}
