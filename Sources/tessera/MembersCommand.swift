import ArgumentParser
import TesseraAPI

/// `tessera members`.
struct MembersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members", abstract: "Show the members of the mesh, as one agent sees them.",
        discussion: "The agent that answers is marked with *.")

    @OptionGroup var reading: ReadingOptions

    @Option(
        help: ArgumentHelp(
            "Only members with this status: alive, suspect, dead or left. Exit code 2 if none.",
            valueName: "status"))
    var status: String?

    private static let statuses = ["alive", "suspect", "dead", "left"]

    func validate() throws {
        if let status, !Self.statuses.contains(status) {
            throw ValidationError(
                "'\(status)' is not a status; it is one of "
                    + Self.statuses.joined(separator: ", ") + ".")
        }
    }

    func run() async throws {
        var document = try await APIClient.with(reading.api) { client in
            try await client.document(MembersDocument.self, at: "/tessera/v1/members")
        }
        document.members.sort { ($0.name, $0.id) < ($1.name, $1.id) }
        if let status { document.members.removeAll { $0.status != status } }
        if reading.isJSON {
            Console.line(try JSONText.pretty(document))
        } else {
            Self.table(document.members).show()
        }
        if document.members.isEmpty {
            throw CommandFailure("no member matches.", code: .nothingMatched)
        }
    }

    /// Bytes per second as megabytes per second.
    private static func rate(_ bytesPerSecond: UInt64) -> String {
        Figures.decimal(
            Double(bytesPerSecond) / 1e6, places: bytesPerSecond < 10_000_000 ? 2 : 0) + " MB/s"
    }

    /// The members as people read them, in the order given.
    static func table(_ members: [MemberDocument]) -> Table {
        var table = Table(
            "NAME", "ID", "STATUS", "ADDRESS", ">ROUND TRIP", ">LINK", ">THREADS", ">MEMORY",
            ">SPEED")
        for member in members {
            let roundTrip = member.roundTripMicroseconds.map {
                Figures.milliseconds(microseconds: $0) + " ms"
            }
            // No rate was measured yet if it is 0.
            let link = member.bytesPerSecond.flatMap { $0 > 0 ? rate($0) : nil }
            // Operations per microsecond are millions per second.
            let speed = member.operationsPerMicrosecond.map {
                Figures.decimal(Double($0) / 1_000, places: 1) + " GOP/s"
            }
            var status = member.status
            if member.isLeaving && status == "alive" { status = "leaving" }
            if status == "alive" && !member.isSelf && !member.isConnected { status += " (no link)" }
            table.add(
                member.name + (member.isSelf ? "*" : ""), String(member.id.prefix(8)), status,
                member.address, roundTrip ?? "-", link ?? "-",
                member.threads.map(String.init) ?? "-",
                member.memoryBytes.map(Figures.bytes) ?? "-", speed ?? "-")
        }
        return table
    }
}
