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

    @Option(
        help: ArgumentHelp(
            """
            Choose thresholds for early exits too, out of this table of what they do, written by \
            `tessera model exits`; see Docs/Exits.md.
            """, valueName: "file"))
    var exits: String?

    @Option(
        help: ArgumentHelp(
            "With --exits: the least share of right answers, such as 97%.",
            valueName: "percent"), transform: PlanQuantities.share)
    var minAccuracy: Int?

    @Option(
        help: ArgumentHelp(
            "With --exits: what is to be least, latency or energy, as expected with the exits.",
            valueName: "objective"), transform: PlanQuantities.objective)
    var minimize: PlanGoal.Objective?

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
        guard exits != nil || (minAccuracy == nil && minimize == nil) else {
            throw ValidationError("--min-accuracy and --minimize go with --exits.")
        }
        guard exits == nil || (minimize != .throughput && !pareto && simulate == nil) else {
            throw ValidationError(
                "--exits goes with --minimize latency or energy, without --pareto and --simulate.")
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

    private var hasWishes: Bool {
        !planning.isEmpty || pareto || exits != nil
    }

    /// What the plan is to be best at.
    var goal: PlanGoal { planning.goal }

    /// Plans and prints.
    func run(isJSON: Bool) async throws {
        if let exits { return try await runExits(exits, isJSON: isJSON) }
        let kept = planning.keepInputLocal ?? 0
        let (planner, codecs) = try await planner(keeping: kept)
        let unkept = kept > 0 ? try await self.planner().planner : nil
        let plan = try await Blocking.run {
            var plan = try planner.plan()
            // What the wish costs is what the best plan without it would save.
            if let unkept { plan.otherwise = try unkept.plan().sketch }
            return plan
        }
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

    private func runExits(_ path: String, isJSON: Bool) async throws {
        let table = try ExitTableFile(path: path)
        let source = try await planner(keeping: planning.keepInputLocal ?? 0).planner.source
        let space: PlanSpace
        let exits: [ExitSearch.Exit]
        let positions: [Int]
        switch source {
        case .profile(let given):
            space = given
            positions = Array(0...given.end)
            exits = try table.exits(of: given)
        case .model(let outline, let spaces):
            guard let narrow = spaces.last else {
                throw CommandFailure("no plan: no node is there.")
            }
            space = narrow.space
            positions = narrow.positions
            exits = try table.exits(of: outline, positions: narrow.positions)
        }
        let search = ExitSearch(
            space.withHeadroom(percent: planning.memoryHeadroom ?? 0), exits: exits,
            latencyMax: planning.maxLatency, objective: minimize ?? .latency)
        let plan = try await Blocking.run { [accuracy = minAccuracy ?? 0] in
            try ExitPlan(search, table.policies, accuracyMin: accuracy, positions: positions)
        }
        if isJSON { Console.line(try JSONText.pretty(plan.document)) } else { plan.show() }
    }

    /// What the described mesh serves under virtual time, if that is asked for.
    private func simulated(
        _ plan: PlanOffline.Plan, _ codecs: CodecAllowance?
    ) async throws -> PlanOfflineDocument.Simulated? {
        guard let simulate, let topology, let outline = plan.model?.outline else { return nil }
        let mesh = try Topology(path: topology).simulatedMesh
        let settings = ServedRun.Settings(
            planning: ModelSettings(
                goal: planning.goal, allowedModes: planning.allow ?? .usual,
                baseline: planning.mode?.baseline,
                keepInputLocal: planning.keepInputLocal ?? 0, codecs: codecs), clients: simulate)
        let figures = try await Blocking.run {
            try ServedRun.measure(outline, on: mesh, settings)
        }
        return figures.map { figures in
            PlanOfflineDocument.Simulated(
                periodSeconds: Double(figures.period.nanoseconds) / 1e9,
                latencySeconds: Double(figures.latency.nanoseconds) / 1e9)
        }
    }

    private func planner(
        keeping kept: Int = 0
    ) async throws -> (planner: PlanOffline, codecs: CodecAllowance?) {
        let modes = planning.allow ?? .usual
        let mode = planning.mode?.baseline
        let source: PlanOffline.Source
        var codecs: CodecAllowance?
        if let profile {
            let space = try PlanProfile(path: profile).space
            try Self.checkEntry(space.entry, keeping: kept)
            source = .profile(
                kept > 0 ? space.keepingLocal(pieces: min(kept, space.end)) : space)
        } else if let modelFile, let topology {
            let nodes = try Topology(path: topology)
            try Self.checkEntry(nodes.entry, keeping: kept)
            let file = ModelFile(
                path: modelFile, shapes: try shapes.map(ModelFile.Shape.init(parsing:)))
            let found = try await Self.outline(of: file, calibration)
            codecs = found.codecs
            source = .model(
                found.outline,
                nodes.spaces(
                    of: found.outline, modes: modes, baseline: mode, keepInputLocal: kept,
                    codecs: codecs))
        } else {
            throw ValidationError("Say what to plan.")
        }
        let planner = PlanOffline(
            source: source, goal: goal, modes: modes, baseline: mode, wantsFront: pareto)
        return (planner, codecs)
    }

    private static func checkEntry(_ entry: Int?, keeping kept: Int) throws {
        guard kept == 0 || entry != nil else {
            throw ValidationError(
                "--keep-input-local needs to know where requests come in: name the node as "
                    + "\"entry\" in the file.")
        }
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
