import ArgumentParser
import TesseraAPI

/// `tessera plan`.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show how a model is cut over the nodes, and why.",
        usage: """
            tessera plan <model> [--alternates] [--explain] [--json]
            tessera plan --profile <file> [<options>]
            tessera plan --model <file> --topology <file> [<options>]
            """,
        discussion: """
            A stage is a run of operators on one node, or on several in the modes replicas and \
            rows. The bound is what no plan can beat on these nodes. An alternate is the plan that \
            is used at once when its node is lost; armed means that all its nodes are ready. \
            --alternates says what keeps the others from it, and how long it takes to arm each of \
            them anew, by what was measured of links and of compiling.

            With the name of a model, asks an agent for the plan that runs. With --profile or \
            --model, plans from files, and no agent is needed. Docs/Topologies.md describes the \
            files.
            """)

    @Argument(help: "The name of a model in the mesh.")
    var model: String?

    @Flag(help: "Show only what is ready for the loss of each node, and why not.")
    var alternates = false

    @OptionGroup(title: "Planning without an agent") var offline: PlanOfflineOptions

    @OptionGroup var reading: ReadingOptions

    func validate() throws { try offline.checkSource(model: model) }

    func run() async throws {
        guard let model else { return try await offline.run(isJSON: reading.isJSON) }
        let path = "/tessera/v1/models/\(APIClient.component(model))/plan"
        try await reading.show(PlanDocument.self, at: path) { plan in
            showHead(plan)
            if alternates { return showArming(plan) }
            showStages(plan)
            showPacking(plan.packing ?? [])
            showExits(plan)
            showAlternates(plan)
            if offline.explain { showNotes(plan.used, head: "USED") }
            showNotes(plan.leftOut, head: "LEFT OUT")
        }
    }

    private func showHead(_ plan: PlanDocument) {
        Console.line(
            Style.bold(Figures.printable(plan.model))
                + ": plan \(plan.plan.prefix(8)), epoch \(plan.epoch), proposed by "
                + Figures.printable(plan.proposer))
        func span(_ microseconds: Int64) -> String {
            Figures.milliseconds(microseconds: microseconds) + " ms"
        }
        Console.line(
            "  expected: one answer per \(span(plan.predictedPeriodMicroseconds)) in a stream, "
                + "\(span(plan.predictedLatencyMicroseconds)) for one alone, "
                + "at most \(plan.window) in flight")
        let reached = plan.boundMicroseconds * 100 / max(plan.predictedPeriodMicroseconds, 1)
        Console.line(
            "  bound:    \(span(plan.boundMicroseconds)) per answer, by "
                + Figures.printable(plan.binding) + "; bound / expected: \(reached) %")
        Console.line("  limit:    " + Figures.printable(plan.bottleneck))
        if let energy = plan.energy { showEnergy(energy) }
        Console.line("  exact:    " + Figures.printable(plan.exactness))
        if let local = plan.local {
            var text =
                "  local:    the first \(local.operators) operators run where a request comes in: "
                + "on " + local.entries.map(Figures.printable).joined(separator: ", ")
            if let period = local.otherwisePeriodMicroseconds,
                let latency = local.otherwiseLatencyMicroseconds
            {
                text += "; without that one answer per \(span(period)), \(span(latency)) alone"
            }
            Console.line(text)
        }
    }

    private func showEnergy(_ energy: EnergyDocument) {
        Console.line("  energy:   " + Figures.printable(energy.modelledText))
        if let text = energy.measuredText { Console.line("            " + Figures.printable(text)) }
    }

    private func showStages(_ plan: PlanDocument) {
        Console.line()
        var table = Table(
            ">STAGE", "MODE", "NODES", ">OPERATORS", "FROM", "TO", ">LINKS", ">EXPECTED",
            ">MEASURED", ">MEMORY")
        for (index, stage) in plan.stages.enumerated() {
            let measured = stage.measuredMicroseconds.map {
                Figures.milliseconds(microseconds: $0) + " ms"
            }
            table.add(
                "\(index + 1)", stage.mode, stage.nodes.joined(separator: ", "),
                "\(stage.first)-\(stage.last) of \(plan.operators)",
                stage.operators.first ?? "", stage.operators.last ?? "",
                Figures.milliseconds(microseconds: stage.linkMicroseconds) + " ms",
                Figures.milliseconds(microseconds: stage.predictedMicroseconds) + " ms",
                measured ?? "-", Figures.bytes(stage.memoryBytes))
        }
        table.show()
    }

    private func showPacking(_ lines: [PackingDocument]) {
        guard !lines.isEmpty else { return }
        Console.line("")
        var table = Table(
            "TENSOR", "FROM", "TO", ">BYTES", "EXPECTED", ">PACKED", "IN USE", ">MEASURED")
        for line in lines {
            table.add(
                line.tensor, line.from, line.to, Figures.bytes(line.bytes), line.codec,
                Figures.bytes(line.packedBytes), line.codecInUse ?? "-",
                line.measuredBytes.map(Figures.bytes) ?? "-")
        }
        table.show()
    }

    private func showExits(_ plan: PlanDocument) {
        guard let exits = plan.exits else { return }
        Console.line()
        var table = Table("EXIT", "MEASURE", ">THRESHOLD", ">PLANNED SHARE", ">ANSWERED HERE")
        for exit in exits {
            table.add(
                Figures.printable(exit.output), exit.measure ?? "end of the model",
                exit.threshold.map { Figures.decimal($0, places: 3) } ?? "-",
                Figures.decimal(exit.share * 100, places: 1) + " %", "\(exit.answered)")
        }
        table.show()
    }

    private func showArming(_ plan: PlanDocument) {
        Console.line()
        var table = Table(
            "WITHOUT", "PLAN", "STATE", ">TO FETCH", ">TO ARM ANEW", "WHAT CHANGES", "WHY NOT")
        for alternate in plan.alternates {
            let state = alternate.plan == nil ? "none" : alternate.isArmed ? "armed" : "not armed"
            let time = alternate.rearmMicroseconds.map {
                Figures.milliseconds(microseconds: $0) + " ms"
            }
            table.add(
                alternate.without, alternate.plan.map { String($0.prefix(8)) } ?? "-", state,
                Figures.bytes(alternate.fetchBytes), time ?? "-",
                alternate.changes.isEmpty ? "-" : alternate.changes.joined(separator: "; "),
                alternate.reason ?? "-")
        }
        table.show()
    }

    private func showAlternates(_ plan: PlanDocument) {
        guard !plan.alternates.isEmpty else { return }
        Console.line()
        var table = Table("ALTERNATE WITHOUT", "PLAN", "STATE", "WHAT CHANGES")
        for alternate in plan.alternates.sorted(by: { $0.without < $1.without }) {
            let state =
                alternate.isArmed ? "armed" : "not armed: " + (alternate.reason ?? "not ready")
            table.add(
                alternate.without, alternate.plan.map { String($0.prefix(8)) } ?? "-", state,
                alternate.changes.joined(separator: "; "))
        }
        table.show()
    }

    private func showNotes(_ notes: [PlanDocument.NoteDocument], head: String) {
        guard !notes.isEmpty else { return }
        Console.line()
        var table = Table(head, "REASON")
        for note in notes.sorted(by: { $0.node < $1.node }) { table.add(note.node, note.reason) }
        table.show()
    }
}
