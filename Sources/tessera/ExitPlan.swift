import TesseraCore

/// Thresholds and a placement for a model with exits, planned without an agent.
struct ExitPlan {
    /// What `--json` prints.
    struct Document: Codable {
        /// A stage.
        struct Stage: Codable {
            var node: String
            var first: Int
            var last: Int
        }

        var version = 1
        var threshold: Double
        var accuracy: Double
        var shares: [Double]
        var expected_latency_seconds: Double
        var worst_latency_seconds: Double
        var expected_energy_joules: Double?
        var stages: [Stage]
    }

    let search: ExitSearch
    let found: ExitSearch.Found
    /// The operator or layer that each position stands before.
    let positions: [Int]

    /// Searches; an error says why there is nothing.
    init(
        _ search: ExitSearch, _ policies: [ExitPolicy], accuracyMin: Int, positions: [Int]
    ) throws {
        if let reason = search.reasonAgainst { throw CommandFailure("no plan: \(reason).") }
        if search.objective == .energy,
            let node = search.space.nodes.first(where: { $0.milliwatts == nil })
        {
            throw CommandFailure("no plan: what node \(node.name) draws is not known.")
        }
        guard let most = policies.map(\.accuracy).max(), most >= accuracyMin else {
            throw CommandFailure("no plan: no threshold of the table is that accurate.")
        }
        guard let found = search.best(of: policies, accuracyMin: accuracyMin) else {
            throw CommandFailure(
                "no plan keeps the latency with thresholds that are accurate enough.")
        }
        self.search = search
        self.found = found
        self.positions = positions
    }

    /// The document of `--json`.
    var document: Document {
        func seconds(_ nano: Int) -> Double { Double(nano) / 1e9 }
        func part(_ millionths: Int) -> Double { Double(millionths) / Double(ModelExit.unit) }
        return Document(
            threshold: part(found.policy.threshold), accuracy: part(found.policy.accuracy),
            shares: found.policy.shares.map(part),
            expected_latency_seconds: seconds(found.expectedLatency),
            worst_latency_seconds: seconds(found.worstLatency),
            expected_energy_joules: found.expectedEnergy.map(seconds),
            stages: found.stages.map { stage in
                Document.Stage(
                    node: search.space.nodes[stage.nodes[0]].name, first: positions[stage.from],
                    last: positions[stage.to] - 1)
            })
    }

    /// Prints the plan.
    func show() {
        func percent(_ value: Double) -> String { Figures.decimal(value * 100, places: 1) + " %" }
        func time(_ seconds: Double) -> String { Figures.milliseconds(seconds * 1e3) + " ms" }
        let document = document
        Console.line(
            Style.bold("the best thresholds and placement for \(search.objective.rawValue)"))
        Console.line(
            "  threshold: \(Figures.decimal(document.threshold, places: 2)), "
                + "\(percent(document.accuracy)) of the answers right")
        Console.line(
            "  expected:  \(time(document.expected_latency_seconds)) for one alone, "
                + "\(time(document.worst_latency_seconds)) for one that goes all the way"
                + (document.expected_energy_joules.map {
                    ", " + Figures.milliseconds($0 * 1e3) + " mJ each"
                } ?? ""))
        let shares = document.shares.map(percent).joined(separator: ", ")
        let end = percent(max(1 - document.shares.reduce(0, +), 0))
        Console.line("  answered:  \(shares) by the exits in order, \(end) at the end")
        Console.line()
        var table = Table(">STAGE", "NODE", ">OPERATORS", ">REACHED BY")
        for (index, stage) in zip(found.stages.indices, document.stages) {
            let from = found.stages[index].from
            let gone = search.exits.indices.filter { search.exits[$0].position <= from }
                .reduce(0) { $0 + found.policy.shares[$1] }
            table.add(
                "\(index + 1)", Figures.printable(stage.node), "\(stage.first)-\(stage.last)",
                percent(Double(ModelExit.unit - gone) / Double(ModelExit.unit)))
        }
        table.show()
    }
}
