/// How an operator wants a model to be planned; part of its catalogue entry.
public struct ModelSettings: Hashable, Sendable {
    /// What plans are to be best at, and their limits.
    public var goal: PlanGoal
    /// The modes that stages may have.
    public var allowedModes: ModeSet
    /// The baseline whose plan is to run instead of the best one.
    public var baseline: PlanBaseline?
    /// How many of the model's first operators run at the entry of each request, so that what comes
    /// in never leaves it; 0 for no such wish.
    public var keepInputLocal: Int

    /// The outputs by which a request may be answered early, in the order in which the model computes
    /// them; all but one of its outputs, or none.
    public var exits: [ModelExit]

    /// More operators than this no model has.
    public static let keepInputLocalMax = 1 << 20

    /// What packing for links may change of the answers; nil for nothing.
    public var codecs: CodecAllowance?

    /// Whether answers may leave branches out that are late or lost; nil if not.
    public var degrade: BranchDegrade?

    /// Makes settings; without arguments, those of a model that nobody said anything about.
    public init(
        goal: PlanGoal = PlanGoal(), allowedModes: ModeSet = .usual, baseline: PlanBaseline? = nil,
        keepInputLocal: Int = 0, codecs: CodecAllowance? = nil,
        exits: [ModelExit] = [], degrade: BranchDegrade? = nil
    ) {
        self.goal = goal
        self.allowedModes = allowedModes
        self.baseline = baseline
        self.keepInputLocal = keepInputLocal
        self.codecs = codecs
        self.exits = exits
        self.degrade = degrade
    }

    /// What is left of the settings when a peer that speaks version 2 of the protocol, or 1, passes
    /// them on: neither what is kept at the entry, nor exits, codecs, the mode `branches`, what may be
    /// left out of it, or the baselines `whole-tiles` and `lcp-like`.
    public var asVersion2PassesOn: ModelSettings {
        var old = self
        old.keepInputLocal = 0
        old.exits = []
        old.codecs = nil
        old.degrade = nil
        if old.baseline == .wholeTiles || old.baseline == .lcpLike { old.baseline = nil }
        old.allowedModes.formIntersection(.usual)
        if old.allowedModes.isEmpty { old.allowedModes = .single }
        return old
    }
}
