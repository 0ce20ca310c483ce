import TesseraCore
import TesseraWire

/// Plans that were made already: planning is a pure function, and most rounds ask it the same.
///
/// The ballot of a problem is the name of the plan to come and nothing else, so the answer to the
/// same problem under another ballot is the same plan under that ballot.
struct PlanCache {
    /// What the answer depends on; the outline is fixed by its manifest.
    private struct Key: Hashable {
        var manifest: ManifestID
        var nodes: [PlanningProblem.Node]
        var links: [PlanningProblem.Link]
        var current: Plan?
        var lost: [NodeBoot]
        var goal: PlanGoal
        var modes: ModeSet
        var baseline: PlanBaseline?
        var keepInputLocal: Int
        var codecs: CodecAllowance?
        var exits: [ExitShare]
    }

    private static let entriesMax = 256
    private static let noBallot = Ballot(
        round: 0,
        proposer: NodeBoot(node: NodeID(0, 0, 0, 0), boot: Boot(counter: 0, random: 0)))
    private var results: [Key: PlanningResult] = [:]

    mutating func plan(_ problem: PlanningProblem) -> PlanningResult {
        var key = Key(
            manifest: problem.outline.manifest, nodes: problem.nodes, links: problem.links,
            current: nil, lost: problem.lost, goal: problem.goal, modes: problem.allowedModes,
            baseline: problem.baseline, keepInputLocal: problem.keepInputLocal,
            codecs: problem.codecs, exits: problem.exits)
        if var current = problem.current {
            // Routes follow from the fragments.
            current.routes = []
            current.ballot = Self.noBallot
            key.current = current
        }
        if let known = results[key] { return Self.renamed(known, problem.ballot) }
        if results.count >= Self.entriesMax { results = [:] }
        let result = Planner.plan(problem, naming: PlanNaming.name)
        results[key] = result
        return result
    }

    private static func renamed(_ result: PlanningResult, _ ballot: Ballot) -> PlanningResult {
        guard case .bundle(let bundle, let leftOut) = result else { return result }
        func renamed(_ named: NamedPlan) -> NamedPlan {
            var plan = named.plan
            plan.ballot = ballot
            return PlanNaming.name(plan)
        }
        return .bundle(
            PlanBundle(
                primary: renamed(bundle.primary), alternates: bundle.alternates.map(renamed)),
            leftOut: leftOut)
    }
}
