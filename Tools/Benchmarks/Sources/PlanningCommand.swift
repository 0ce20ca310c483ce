import ArgumentParser
import Foundation
import TesseraCore

/// `tessera-benchmarks planning`: how long planning takes, against nodes and positions.
struct PlanningCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "planning", abstract: "Plan over made-up spaces and print the times.",
        discussion: "Prints a line of JSON for each case, all its times in it.")

    @Option(help: "Different problems of each case.")
    var problems = 5

    /// The times of one case.
    private struct Result: Encodable {
        var name: String
        var nanoseconds: [UInt64]
        /// How many plans are known to be the best of their space.
        var exact: Int
        /// The bound over the plan's period, where that is the goal.
        var boundRatios: [Double]
    }

    func run() throws {
        for one in PlanningCase.all {
            var result = Result(name: one.name, nanoseconds: [], exact: 0, boundRatios: [])
            for seed in 1...max(problems, 1) {
                let space = one.space(seed: UInt64(seed))
                let goal = one.goal(space)
                let begin = Stopwatch.nanoseconds
                let search = PlanSearch(space, goal: goal, modes: one.modes)
                let (sketch, isExact) = try plan(one, search)
                result.nanoseconds.append(Stopwatch.nanoseconds - begin)
                if isExact { result.exact += 1 }
                guard goal.objective == .throughput, one.wish != .front else { continue }
                let bound = Double(search.bound.nanoseconds)
                result.boundRatios.append(bound / Double(sketch.periodNanoseconds))
            }
            try Output.line(result)
        }
        try Output.line(replanning())
    }

    /// The plan of a case, or the first one of its front.
    private func plan(
        _ one: PlanningCase, _ search: PlanSearch
    ) throws -> (sketch: PlanSketch, isExact: Bool) {
        if one.wish == .front {
            let (front, isExact) = search.front()
            guard let first = front.first else { throw BenchmarkError("\(one.name): no front") }
            return (first, isExact)
        }
        let found = search.best()
        guard case .found(let sketch, let isExact) = found else {
            throw BenchmarkError("\(one.name) has no plan: \(found)")
        }
        return (sketch, isExact)
    }

    /// A model of ResNet-50's size, planned anew over eight nodes, one of which was lost.
    private func replanning() throws -> Result {
        var result = Result(
            name: "ResNet-50 replanned, 8 nodes, single", nanoseconds: [], exact: 0,
            boundRatios: [])
        for seed in 1...max(problems, 1) {
            var problem = ResNetOutline.problem(nodes: 9, seed: UInt64(seed))
            guard case .bundle(let first, _) = Planner.plan(problem, naming: Self.name) else {
                throw BenchmarkError("ResNet-50 has no plan over nine nodes")
            }
            problem.current = first.primary.plan
            problem.lost = Array(first.primary.plan.hosts.prefix(1))
            let begin = Stopwatch.nanoseconds
            guard case .bundle(let second, _) = Planner.plan(problem, naming: Self.name) else {
                throw BenchmarkError("ResNet-50 has no plan over eight nodes")
            }
            result.nanoseconds.append(Stopwatch.nanoseconds - begin)
            result.exact += 1
            let bound = PlanBound.of(problem).map { Double($0.periodMicroseconds) } ?? 0
            let period = second.primary.plan.predictedPeriodMicroseconds
            result.boundRatios.append(bound / Double(max(period, 1)))
        }
        return result
    }

    /// Names are not what is measured: hashing a plan takes microseconds.
    private static func name(_ plan: Plan) -> NamedPlan {
        NamedPlan(id: PlanID(0, 0, 0, UInt64(plan.fragments.count)), plan: plan)
    }
}
