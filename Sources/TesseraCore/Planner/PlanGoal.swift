/// What a plan is to be best at, and what it must not exceed.
public struct PlanGoal: Hashable, Sendable {
    /// What is to be least.
    public enum Objective: String, CaseIterable, Hashable, Sendable {
        /// The period: the most items per second in a stream.
        case throughput
        /// The time of one item alone.
        case latency
        /// What the nodes draw for one item.
        case energy
    }

    /// What is to be least.
    public var objective: Objective
    /// The longest period that will do; nil for any.
    public var periodNanosecondsMax: Int?
    /// The longest latency that will do; nil for any.
    public var latencyNanosecondsMax: Int?
    /// The most energy per item that will do; nil for any.
    public var nanojoulesMax: Int?
    /// Percent of each node's memory that stay free.
    public var memoryHeadroomPercent: Int

    /// Makes a goal.
    public init(
        objective: Objective = .throughput, periodNanosecondsMax: Int? = nil,
        latencyNanosecondsMax: Int? = nil, nanojoulesMax: Int? = nil,
        memoryHeadroomPercent: Int = 0
    ) {
        self.objective = objective
        self.periodNanosecondsMax = periodNanosecondsMax
        self.latencyNanosecondsMax = latencyNanosecondsMax
        self.nanojoulesMax = nanojoulesMax
        self.memoryHeadroomPercent = memoryHeadroomPercent
    }

    /// Whether plans are judged by their energy: nodes whose power is not known are of no use then.
    public var countsEnergy: Bool { objective == .energy || nanojoulesMax != nil }

    /// Whether a plan keeps within the limits.
    func allows(_ sketch: PlanSketch) -> Bool {
        if let limit = periodNanosecondsMax, sketch.periodNanoseconds > limit { return false }
        if let limit = latencyNanosecondsMax, sketch.latencyNanoseconds > limit { return false }
        guard let limit = nanojoulesMax else { return true }
        return sketch.nanojoules.map { $0 <= limit } ?? false
    }

    /// Whether a plan keeps within the limits by its evaluation.
    func allows(_ evaluation: PlanEvaluation) -> Bool {
        func isWithin(_ microseconds: Int64, _ nanoseconds: Int?) -> Bool {
            nanoseconds.map { microseconds <= Int64($0 / 1_000) } ?? true
        }
        guard isWithin(evaluation.periodMicroseconds, periodNanosecondsMax),
            isWithin(evaluation.latencyMicroseconds, latencyNanosecondsMax)
        else { return false }
        guard let limit = nanojoulesMax else { return true }
        return evaluation.nanojoules.map { $0 <= limit } ?? false
    }

    /// The figure of an evaluated plan that is to be least: microseconds, or nanojoules for energy.
    func cost(_ evaluation: PlanEvaluation) -> Int64 {
        switch objective {
        case .throughput: evaluation.periodMicroseconds
        case .latency: evaluation.latencyMicroseconds
        case .energy: Int64(min(evaluation.nanojoules ?? .max, SpaceCosts.energyMax))
        }
    }

    /// What decides between two plans where the period does if nothing else is wished: the period, or
    /// the energy where that is to be least.
    func streamCost(_ evaluation: PlanEvaluation) -> Int64 {
        objective == .energy ? cost(evaluation) : evaluation.periodMicroseconds
    }

    /// The figure of a plan that is to be least; the largest number if it is not known.
    func value(_ sketch: PlanSketch) -> Int {
        switch objective {
        case .throughput: sketch.periodNanoseconds
        case .latency: sketch.latencyNanoseconds
        case .energy: sketch.nanojoules ?? .max
        }
    }
}
