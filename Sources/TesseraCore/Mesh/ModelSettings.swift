/// How an operator wants a model to be planned; part of its catalogue entry.
public struct ModelSettings: Hashable, Sendable {
    /// What plans are to be best at, and their limits.
    public var goal: PlanGoal
    /// The modes that stages may have.
    public var allowedModes: ModeSet
    /// The baseline whose plan is to run instead of the best one.
    public var baseline: PlanBaseline?
    /// What packing for links may change of the answers; nil for nothing.
    public var codecs: CodecAllowance?

    /// Makes settings; without arguments, those of a model that nobody said anything about.
    public init(
        goal: PlanGoal = PlanGoal(), allowedModes: ModeSet = .all, baseline: PlanBaseline? = nil,
        codecs: CodecAllowance? = nil
    ) {
        self.goal = goal
        self.allowedModes = allowedModes
        self.baseline = baseline
        self.codecs = codecs
    }
}
