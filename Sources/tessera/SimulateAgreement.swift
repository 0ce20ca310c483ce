import TesseraAPI
import TesseraCore
import TesseraSimulator

/// `simulate --agreement --json`.
struct AgreementDocument: Codable {
    /// One decision.
    struct Cost: Codable {
        /// Agreement messages of all nodes.
        var messages: Int
        /// Their bytes.
        var bytes: Int
        /// From the beginning of the round until the first node has decided.
        var roundTrips: Double
        /// Until every node knows.
        var roundTripsEverywhere: Double
    }
    /// A mesh of one size.
    struct Row: Codable {
        /// How many nodes.
        var nodes: Int
        /// How many of them the plan uses.
        var hosts: Int
        /// The decision after an operator's command.
        var command: Cost
        /// The decision after the loss of a node that the plan uses.
        var repair: Cost
    }
    /// The version of this form.
    var version = controlVersion
    /// By size.
    var rows: [Row]
}

/// What decisions cost by the size of the mesh.
struct SimulateAgreement {
    let counts: [Int]
    let seed: UInt64

    func run(_ isJSON: Bool) throws {
        let rows = try counts.map { try row($0) }
        if isJSON { return Console.line(try JSONText.pretty(AgreementDocument(rows: rows))) }
        var table = Table(
            ">nodes", ">hosts", "decision", ">messages", ">bytes", ">round trips", ">everywhere")
        for row in rows {
            for (name, cost) in [("command", row.command), ("repair", row.repair)] {
                table.add(
                    "\(row.nodes)", "\(row.hosts)", name, "\(cost.messages)", "\(cost.bytes)",
                    tenths(cost.roundTrips), tenths(cost.roundTripsEverywhere))
            }
        }
        table.show()
    }

    private func tenths(_ value: Double) -> String {
        let count = Int((value * 10).rounded())
        return "\(count / 10).\(count % 10)"
    }

    private func row(_ count: Int) throws -> AgreementDocument.Row {
        func cost(_ cost: AgreementRun.Cost) -> AgreementDocument.Cost {
            AgreementDocument.Cost(
                messages: cost.messages, bytes: cost.bytes, roundTrips: cost.roundTrips,
                roundTripsEverywhere: cost.roundTripsEverywhere)
        }
        do {
            let figures = try AgreementRun.measure(nodes: count, seed: seed)
            return AgreementDocument.Row(
                nodes: count, hosts: figures.hosts, command: cost(figures.command),
                repair: cost(figures.repair))
        } catch {
            throw CommandFailure("\(count) nodes break a property: \(error)")
        }
    }
}
