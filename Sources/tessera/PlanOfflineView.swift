import TesseraCore

/// A plan made without an agent, as people and programs read it.
struct PlanOfflineView {
    /// More stages of one plan of a front are not listed.
    private static let frontStagesMax = 8

    private let plan: PlanOffline.Plan
    private let explains: Bool
    private let notes: [PlanNote]
    private let bound: SpaceBound
    private var space: PlanSpace { plan.search.space }

    init(_ plan: PlanOffline.Plan, explains: Bool) {
        self.plan = plan
        self.explains = explains
        notes = plan.search.notes(
            on: plan.sketch, isExact: plan.isExact ?? false, baseline: plan.baseline)
        bound = plan.search.bound
    }

    // MARK: JSON

    /// The document of `--json`.
    var document: PlanOfflineDocument {
        PlanOfflineDocument(
            objective: plan.search.goal.objective.rawValue,
            mode: plan.baseline?.rawValue ?? "best", isExact: plan.isExact,
            periodSeconds: Self.seconds(plan.sketch.periodNanoseconds),
            latencySeconds: Self.seconds(plan.sketch.latencyNanoseconds),
            energyJoules: plan.sketch.nanojoules.map(Self.seconds),
            bottleneck: plan.search.bottleneckText(of: plan.sketch),
            bound: PlanOfflineDocument.Bound(
                periodSeconds: Self.seconds(bound.nanoseconds),
                latencySeconds: Self.seconds(latencyBound),
                binding: plan.search.bindingText(bound.binding)),
            local: plan.otherwise.map { sketch in
                PlanOfflineDocument.Local(
                    operators: operation(space.localPieces),
                    otherwisePeriodSeconds: Self.seconds(sketch.periodNanoseconds),
                    otherwiseLatencySeconds: Self.seconds(sketch.latencyNanoseconds))
            },
            stages: stages(of: plan.sketch), leftOut: list(isUsed: false),
            used: explains ? list(isUsed: true) : nil,
            pareto: plan.front?.sketches.map { sketch in
                PlanOfflineDocument.Point(
                    periodSeconds: Self.seconds(sketch.periodNanoseconds),
                    latencySeconds: Self.seconds(sketch.latencyNanoseconds),
                    energyJoules: sketch.nanojoules.map(Self.seconds), stages: stages(of: sketch))
            }, paretoIsExact: plan.front?.isExact)
    }

    /// Of nano-units the units: seconds or joules.
    private static func seconds(_ nanoseconds: Int) -> Double { Double(nanoseconds) / 1e9 }

    private var latencyBound: Int {
        SpaceBound.latencyNanoseconds(space, modes: plan.search.modes)
    }

    private func list(isUsed: Bool) -> [PlanOfflineDocument.Note] {
        notes.filter { $0.isUsed == isUsed }.map { note in
            PlanOfflineDocument.Note(node: space.nodes[note.node].name, reason: note.text)
        }
    }

    private func stages(of sketch: PlanSketch) -> [PlanOfflineDocument.Stage] {
        let cuts = plan.search.cutNanoseconds(of: sketch)
        return zip(sketch.stages, cuts).map { stage, cut in
            let (first, last) = (operation(stage.from), operation(stage.to) - 1)
            return PlanOfflineDocument.Stage(
                mode: "\(stage.mode)", nodes: stage.nodes.map { space.nodes[$0].name },
                first: first, last: last, seconds: Self.seconds(stage.nanoseconds),
                latencySeconds: Self.seconds(stage.latencyNanoseconds),
                linkSeconds: Self.seconds(cut),
                memoryBytes: space.stageBytes[stage.from * space.positionCount + stage.to],
                operators: [name(first), name(last)],
                exchanges: stage.mode == .rows ? stage.borders.map(operation) : nil)
        }
    }

    /// The index of the operator or layer that a position stands before.
    private func operation(_ position: Int) -> Int { plan.model?.positions[position] ?? position }

    private func name(_ index: Int) -> String {
        plan.model?.outline.operators[index].name ?? space.pieceNames[index]
    }

    // MARK: Text

    /// Names with commas between them; three or more that count on are a span, `x-1…x-3`.
    static func names(_ all: [String]) -> String {
        func parts(_ name: String) -> (base: Substring, number: Int)? {
            guard let dash = name.lastIndex(of: "-"),
                let number = Int(name[name.index(after: dash)...])
            else { return nil }
            return (name[..<dash], number)
        }
        var result: [String] = []
        var index = 0
        while index < all.count {
            var end = index + 1
            if let first = parts(all[index]) {
                while end < all.count, let next = parts(all[end]), next.base == first.base,
                    next.number == first.number + end - index
                {
                    end += 1
                }
            }
            if end - index > 2 {
                result.append("\(all[index])…\(all[end - 1])")
            } else {
                result += all[index..<end]
            }
            index = end
        }
        return result.joined(separator: ", ")
    }

    /// Prints the plan.
    func show() {
        showHead()
        showStages()
        showNodes()
        showFront()
    }

    /// Prints what a simulated mesh serves.
    static func show(_ served: PlanOfflineDocument.Simulated?) {
        guard let served else { return Console.line("  simulated: it is not served") }
        Console.line(
            "  simulated: one answer per "
                + "\(Figures.milliseconds(served.periodSeconds * 1e3)) ms in a stream, "
                + "\(Figures.milliseconds(served.latencySeconds * 1e3)) ms for one alone")
    }

    private static func time(_ nanoseconds: Int) -> String {
        Figures.milliseconds(Double(nanoseconds) / 1e6) + " ms"
    }

    private static func energy(_ nanojoules: Int) -> String {
        Figures.milliseconds(Double(nanojoules) / 1e6) + " mJ"
    }

    private func showHead() {
        let sketch = plan.sketch
        let kind = plan.baseline.map { "the plan of \($0.rawValue)" } ?? "the best plan"
        Console.line(Style.bold("\(kind) for \(plan.search.goal.objective.rawValue)"))
        let energy = sketch.nanojoules.map { ", \(Self.energy($0)) each" } ?? ""
        Console.line(
            "  expected: one answer per \(Self.time(sketch.periodNanoseconds)) in a stream, "
                + "\(Self.time(sketch.latencyNanoseconds)) for one alone\(energy)")
        let part = bound.nanoseconds * 100 / max(sketch.periodNanoseconds, 1)
        Console.line(
            "  bound:    \(Self.time(bound.nanoseconds)) per answer, by "
                + Figures.printable(plan.search.bindingText(bound.binding))
                + "; bound / expected is \(part) %")
        Console.line(
            "  limit:    " + Figures.printable(plan.search.bottleneckText(of: sketch)))
        if let otherwise = plan.otherwise, let entry = space.entry {
            Console.line(
                "  local:    the first \(operation(space.localPieces)) stay on "
                    + Figures.printable(space.nodes[entry].name) + "; without that one answer per "
                    + "\(Self.time(otherwise.periodNanoseconds)), "
                    + "\(Self.time(otherwise.latencyNanoseconds)) alone")
        }
        if let isExact = plan.isExact {
            Console.line(
                "  search:   "
                    + (isExact
                        ? "exact, no plan of the plan space is better"
                        : "the best plan found; the plan space is too large to try all of it"))
        }
    }

    private func showStages() {
        Console.line()
        var table = Table(
            ">STAGE", "MODE", "NODES", plan.model == nil ? ">LAYERS" : ">OPERATORS", "FROM", "TO",
            ">EXPECTED", ">LINK", ">MEMORY")
        let count = operation(space.end)
        for (index, stage) in stages(of: plan.sketch).enumerated() {
            let sketched = plan.sketch.stages[index]
            let blocks = sketched.borders.isEmpty ? "" : " in \(sketched.borders.count + 1) blocks"
            table.add(
                "\(index + 1)", stage.mode + blocks, Self.names(stage.nodes),
                "\(stage.first)-\(stage.last) of \(count)", stage.operators[0],
                stage.operators[1], Self.time(sketched.nanoseconds),
                Figures.milliseconds(stage.linkSeconds * 1_000) + " ms",
                Figures.bytes(stage.memoryBytes))
        }
        table.show()
        if let entry = space.entry, let last = plan.search.cutNanoseconds(of: plan.sketch).last {
            Console.line(
                "back to \(Figures.printable(space.nodes[entry].name)): \(Self.time(last))")
        }
    }

    private func showNodes() {
        let leftOut = list(isUsed: false)
        if !explains {
            guard !leftOut.isEmpty else { return }
            Console.line()
            let names = Figures.printable(Self.names(leftOut.map(\.node)))
            Console.line("left out: \(names) (--explain says why)")
            return
        }
        Console.line()
        var table = Table("NODE", "PART", "REASON")
        for note in notes {
            table.add(space.nodes[note.node].name, note.isUsed ? "used" : "left out", note.text)
        }
        table.show()
    }

    private func showFront() {
        guard let front = plan.front else { return }
        Console.line()
        var table = Table(">PERIOD", ">LATENCY", ">ENERGY", "STAGES")
        for sketch in front.sketches {
            let stages = sketch.stages.prefix(Self.frontStagesMax).map { stage in
                "\(stage.mode)(\(Self.names(stage.nodes.map { space.nodes[$0].name })))"
            }
            let more = sketch.stages.count > Self.frontStagesMax ? " …" : ""
            table.add(
                Self.time(sketch.periodNanoseconds), Self.time(sketch.latencyNanoseconds),
                sketch.nanojoules.map(Self.energy) ?? "-",
                stages.joined(separator: " > ") + more)
        }
        table.show()
        Console.line(
            front.isExact
                ? "No plan of the plan space beats one of these in every column."
                : "These are the plans that were found; there may be better ones.")
    }
}
