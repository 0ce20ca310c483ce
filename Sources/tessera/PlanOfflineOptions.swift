import ArgumentParser
import TesseraCore
import TesseraModel
import TesseraSimulator

/// How `tessera plan` plans without an agent.
struct PlanOfflineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Plan the chain of layers of a JSON file with measured times, over the nodes that it \
            names; no agent is needed.
            """, valueName: "file"))
    var profile: String?

    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            """
            Plan this model file, imported as `tessera model add` does, over the nodes of \
            --topology; no agent is needed.
            """, valueName: "file"))
    var modelFile: String?

    @Option(
        help: ArgumentHelp(
            "The nodes and links for --model, such as Topologies/four-boards.yaml.",
            valueName: "file"))
    var topology: String?

    @Option(
        name: .customLong("shape"),
        help: ArgumentHelp(
            "For --model: the fixed shape of an input; repeat for each input that has none.",
            valueName: "input=1,3,224,224"))
    var shapes: [String] = []

    @OptionGroup var planning: PlanningOptions

    @OptionGroup(title: "Packing for slow links") var calibration: CalibrationOptions

    @Option(
        help: ArgumentHelp(
            "The most energy per item that will do, such as 2.5J.", valueName: "energy"),
        transform: PlanQuantities.nanojoules)
    var maxEnergy: Int?

    @Flag(
        help: "Show also every plan that none beats in period and latency (and energy, if known).")
    var pareto = false

    @Flag(help: "Say for each node why it got what it got, or nothing.")
    var explain = false

    @Option(
        help: ArgumentHelp(
            """
            For --model: also let so many clients ask a simulated mesh of --topology, and say what \
            it serves; without rows.
            """, valueName: "clients"))
    var simulate: Int?

    /// More clients than any plan lets into flight show nothing new.
    private static let clientsMax = 1_000

    /// Checks that one thing is to be planned, and that what is given goes with it.
    func checkSource(model: String?) throws {
        let sources = [model, profile, modelFile].compactMap { $0 }
        guard sources.count == 1 else {
            throw ValidationError(
                sources.isEmpty
                    ? "Say what to plan: the name of a model in the mesh, --profile FILE, or "
                        + "--model FILE with --topology FILE."
                    : "A model in the mesh, --profile and --model are planned one at a time.")
        }
        guard (modelFile == nil) == (topology == nil) else {
            throw ValidationError("--model and --topology need each other.")
        }
        guard modelFile != nil || calibration.calibrate == nil else {
            throw ValidationError("--calibrate goes with --model.")
        }
        guard modelFile != nil || shapes.isEmpty else {
            throw ValidationError("--shape goes with --model.")
        }
        _ = try shapes.map(ModelFile.Shape.init(parsing:))
        if let simulate {
            guard modelFile != nil else { throw ValidationError("--simulate goes with --model.") }
            guard (1...Self.clientsMax).contains(simulate) else {
                throw ValidationError("--simulate takes from 1 to \(Self.clientsMax) clients.")
            }
        }
        guard !pareto || planning.mode?.baseline == nil else {
            throw ValidationError("--pareto compares the best plans; leave --mode out.")
        }
        guard model == nil || !hasWishes else {
            throw ValidationError(
                "The plan of a model in the mesh is shown as it runs; objectives, limits, modes and "
                    + "--pareto go with --profile or --model.")
        }
    }

    private var hasWishes: Bool { !planning.isEmpty || maxEnergy != nil || pareto }

    /// What the plan is to be best at.
    var goal: PlanGoal {
        var goal = planning.goal
        goal.nanojoulesMax = maxEnergy
        return goal
    }

    /// Plans and prints.
    func run(isJSON: Bool) async throws {
        let (planner, codecs) = try await planner()
        let plan = try await Blocking.run { try planner.plan() }
        let view = PlanOfflineView(plan, explains: explain)
        let served = try await simulated(plan, codecs)
        if isJSON {
            var document = view.document
            document.simulated = served
            Console.line(try JSONText.pretty(document))
        } else {
            view.show()
            if simulate != nil { PlanOfflineView.show(served) }
        }
    }

    /// What the described mesh serves under virtual time, if that is asked for.
    private func simulated(
        _ plan: PlanOffline.Plan, _ codecs: CodecAllowance?
    ) async throws -> PlanOfflineDocument.Simulated? {
        guard let simulate, let topology, let outline = plan.model?.outline else { return nil }
        let mesh = try Topology(path: topology).simulatedMesh
        let settings = ServedRun.Settings(
            planning: ModelSettings(
                goal: planning.goal, allowedModes: planning.allow ?? .all,
                baseline: planning.mode?.baseline, codecs: codecs), clients: simulate)
        let figures = try await Blocking.run {
            try ServedRun.measure(outline, on: mesh, settings)
        }
        return figures.map { figures in
            PlanOfflineDocument.Simulated(
                periodSeconds: Double(figures.period.nanoseconds) / 1e9,
                latencySeconds: Double(figures.latency.nanoseconds) / 1e9)
        }
    }

    private func planner() async throws -> (PlanOffline, CodecAllowance?) {
        let modes = planning.allow ?? .all
        let mode = planning.mode?.baseline
        let source: PlanOffline.Source
        var codecs: CodecAllowance?
        if let profile {
            source = .profile(try PlanProfile(path: profile).space)
        } else if let modelFile, let topology {
            let nodes = try Topology(path: topology)
            let file = ModelFile(
                path: modelFile, shapes: try shapes.map(ModelFile.Shape.init(parsing:)))
            let found = try await Self.outline(of: file, calibration)
            codecs = found.codecs
            source = .model(
                found.outline,
                nodes.spaces(of: found.outline, modes: modes, baseline: mode, codecs: codecs))
        } else {
            throw ValidationError("Say what to plan.")
        }
        let planner = PlanOffline(
            source: source, goal: goal, modes: modes, baseline: mode, wantsFront: pareto)
        return (planner, codecs)
    }

    /// What the planner has to know of a model file.
    static func outline(
        of file: ModelFile, _ calibration: CalibrationOptions?
    ) async throws -> (outline: ModelOutline, codecs: CodecAllowance?) {
        try await Files.withTemporaryFolder { folder in
            let model = try await file.imported(into: folder)
            let outline: ModelOutline
            do {
                outline = try ModelCutter(model.manifest).outline
            } catch {
                throw CommandFailure("\(file.path) cannot be planned: \(error)")
            }
            guard !outline.operators.isEmpty else {
                throw CommandFailure("no plan: the model \(file.path) has no operators.")
            }
            return (outline, try await calibration?.measured(model))
        }
    }
}
