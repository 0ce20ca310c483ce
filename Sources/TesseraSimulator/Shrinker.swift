import TesseraCore

/// Finds a smaller scenario that fails the same checker: fewer faults first, then knobs at nothing,
/// fewer nodes, fewer requests.
public struct Shrinker {
    /// Runs that one shrinking may take: each is as long as the failure itself.
    private static let runsMax = 200

    private let scenario: Scenario
    private let checker: String
    private let prepare: (Simulation) -> Void
    private var best: (reduction: Reduction, violation: Violation)
    private var runs = 0

    private init(
        _ scenario: Scenario, _ violation: Violation, prepare: @escaping (Simulation) -> Void
    ) {
        self.scenario = scenario
        self.prepare = prepare
        checker = violation.checker
        best = (Reduction(faults: Array(scenario.faults.indices)), violation)
    }

    /// Shrinks a scenario that failed with this violation.
    public static func shrink(
        _ scenario: Scenario, _ violation: Violation
    ) -> (reduction: Reduction, violation: Violation) {
        shrink(scenario, violation) { _ in }
    }

    /// Shrinks a scenario that failed with this violation in a simulation that was prepared so.
    package static func shrink(
        _ scenario: Scenario, _ violation: Violation, prepare: @escaping (Simulation) -> Void
    ) -> (reduction: Reduction, violation: Violation) {
        var shrinker = Shrinker(scenario, violation, prepare: prepare)
        shrinker.removeFaults()
        shrinker.turnOffKnobs()
        shrinker.removeNodes()
        shrinker.removeRequests()
        shrinker.removeFaults()
        return shrinker.best
    }

    /// True if the smaller scenario fails in the same way; it is the best one then.
    private mutating func fails(_ reduction: Reduction) -> Bool {
        guard runs < Self.runsMax else { return false }
        runs += 1
        let simulation = Simulation(scenario.reduced(by: reduction))
        prepare(simulation)
        guard let violation = simulation.run().violation, violation.checker == checker else {
            return false
        }
        best = (reduction, violation)
        return true
    }

    /// Halves first, then smaller parts, down to single faults.
    private mutating func removeFaults() {
        var size = max(1, (best.reduction.faults?.count ?? 0) / 2)
        while true {
            var start = 0
            while let kept = best.reduction.faults, start < kept.count {
                var smaller = best.reduction
                smaller.faults = Array(kept[..<start] + kept[min(start + size, kept.count)...])
                if !fails(smaller) { start += size }
            }
            guard size > 1 else { return }
            size /= 2
        }
    }

    private mutating func turnOffKnobs() {
        for knob in Reduction.Knob.allCases {
            var smaller = best.reduction
            smaller.without.append(knob)
            _ = fails(smaller)
        }
    }

    private mutating func removeNodes() {
        for count in 1..<max(scenario.mesh.devices.count, 2) {
            var smaller = best.reduction
            smaller.nodes = count
            if fails(smaller) { return }
        }
    }

    private mutating func removeRequests() {
        for count in [0, 1, 4, 16, 64] where count < scenario.workload.requests {
            var smaller = best.reduction
            smaller.requests = count
            if fails(smaller) { return }
        }
    }
}
