import ArgumentParser
import TesseraAPI

/// `tessera status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how an agent and its mesh are.",
        discussion: "What is wrong stands in lines that begin with #.")

    @OptionGroup var reading: ReadingOptions

    func run() async throws {
        try await reading.show(StatusDocument.self, at: "/tessera/v1/status") { status in
            let reason = status.reason.map { ": " + Figures.printable($0) } ?? ""
            let ready = status.isReady ? Style.good("ready") : Style.bad("not ready") + reason
            var table = Table("AGENT", status.name)
            table.add("state", ready)
            table.add("id", status.id)
            table.add("mesh", status.mesh)
            table.add("version", status.release)
            table.add("listens at", status.listen)
            table.add("finds peers by", status.discovery)
            if let unanswered = status.unanswered {
                table.add("not reached", unanswered.joined(separator: ", "))
            }
            table.add("up for", Figures.span(microseconds: status.uptimeMicroseconds))
            table.add("members alive", "\(status.membersAlive)")
            table.add("open requests", "\(status.openRequests)")
            table.add(
                "memory",
                "\(Figures.bytes(status.reservedBytes)) of \(Figures.bytes(status.memoryBytes)) "
                    + "reserved")
            table.show()
            for (name, count) in status.counters.sorted(by: { $0.key < $1.key }) where count > 0 {
                Console.line("  \(Figures.printable(name)): \(count)")
            }
            for line in status.health {
                Console.line(Style.warning("# " + Figures.printable(line)))
            }
        }
    }
}
