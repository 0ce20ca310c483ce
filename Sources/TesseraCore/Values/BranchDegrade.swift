/// What stands for a branch that a join does without.
public enum BranchFill: UInt8, CaseIterable, Sendable {
    /// Zeros: the branch's part of a weighted sum is left out.
    case zeros = 1
    /// The mean of the branches that are there, element by element.
    case mean

    /// The name in settings.
    public var name: String {
        switch self {
        case .zeros: "zeros"
        case .mean: "mean"
        }
    }

    /// The fill of a name; nil if there is none.
    public init?(name: String) {
        guard let fill = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = fill
    }
}

/// That answers may leave branches out which are late or lost; part of a model's settings.
public struct BranchDegrade: Hashable, Sendable {
    /// More branches than this are never left out of one join.
    public static let mostMax = 16
    /// What stands for a branch is made between two events: it has no more bytes than this.
    public static let tensorBytesMax = 1 << 20

    /// What stands for a branch that is left out.
    public var fill: BranchFill
    /// How many branches of one join may be left out; one is always waited for.
    public var most: Int

    /// Allows it.
    public init(fill: BranchFill, most: Int = 1) {
        self.fill = fill
        self.most = most
    }
}

/// Where branches come together in such a way that one of them may be left out.
public struct BranchJoin: Hashable, Sendable {
    /// What the branches give, one index into `ModelOutline.tensors` for each branch in their order.
    public var tensors: [Int]
    /// The operator that reads all of them.
    public var reader: Int

    /// Makes a join.
    public init(tensors: [Int], reader: Int) {
        self.tensors = tensors
        self.reader = reader
    }
}

/// What a node's catalogue allows to leave out of a model.
public struct BranchAllowance: Hashable, Sendable {
    /// What the settings say.
    public var degrade: BranchDegrade
    /// The joins that qualify.
    public var joins: [BranchJoin]

    /// Makes an allowance.
    public init(degrade: BranchDegrade, joins: [BranchJoin]) {
        self.degrade = degrade
        self.joins = joins
    }

    /// How many branches of a join may be left out.
    func most(of join: BranchJoin) -> Int { min(degrade.most, join.tensors.count - 1) }
}

/// A branch that an answer does without.
public struct MissingBranch: Hashable, Sendable {
    /// What the branch would have given: an index into `ModelOutline.tensors`.
    public var tensor: Int
    /// The tensor's name.
    public var name: String

    /// Names a branch that was left out.
    public init(tensor: Int, name: String) {
        self.tensor = tensor
        self.name = name
    }
}

extension ModelOutline {
    /// Why a region's join is none that can do without a branch.
    private struct JoinFault: Error {
        var reason: String
    }

    /// The joins of parallel regions that can do without a branch for which `fill` stands, ascending.
    public func joins(_ fill: BranchFill) -> [BranchJoin] {
        branchRegions.compactMap { region in
            do { return try join(of: region, fill) } catch { return nil }
        }
    }

    /// Why branches of the model cannot be left out so; nil if they can.
    public func fault(of degrade: BranchDegrade) -> String? {
        guard (1...BranchDegrade.mostMax).contains(degrade.most) else {
            return "how many branches may be left out is not from 1 to \(BranchDegrade.mostMax)"
        }
        var reasons: [String] = []
        var largest = 0
        for region in branchRegions {
            do {
                largest = max(largest, try join(of: region, degrade.fill).tensors.count)
            } catch {
                reasons.append(error.reason)
            }
        }
        if largest == 0 {
            return reasons.first ?? "the model has no branches that read nothing of each other"
        }
        guard degrade.most < largest else {
            return "\(degrade.most) branches are to be left out at most, and no join has more than "
                + "\(largest): one has to be there"
        }
        return nil
    }

    private func join(of region: BranchRegion, _ fill: BranchFill) throws(JoinFault) -> BranchJoin {
        var given: [Int] = []
        for branch in region.branches {
            let outputs = outputTensors(of: branch)
            guard outputs.count == 1 else {
                throw JoinFault(
                    reason: "the branch that ends with \(operators[branch.upperBound - 1].name) "
                        + "gives \(outputs.count) tensors, not one")
            }
            given.append(outputs[0])
        }
        for tensor in given.map({ tensors[$0] }) {
            guard !tensor.isOutput else {
                throw JoinFault(
                    reason: "\(tensor.descriptor.name), which a branch gives, is an output of the "
                        + "model: nothing could stand for it")
            }
            guard tensor.consumers.count == 1,
                tensor.consumers == tensors[given[0]].consumers
            else { throw JoinFault(reason: "its branches are not read by one operator alone") }
            guard [.float16, .float32, .float64].contains(tensor.descriptor.type) else {
                throw JoinFault(
                    reason: "\(tensor.descriptor.name), which a branch gives, holds no floats of "
                        + "16, 32 or 64 bits")
            }
        }
        guard
            given.allSatisfy({
                tensors[$0].descriptor.byteCount <= BranchDegrade.tensorBytesMax
            })
        else {
            throw JoinFault(
                reason: "what its branches give has more than "
                    + "\(BranchDegrade.tensorBytesMax >> 20) MiB")
        }
        let join = BranchJoin(tensors: given, reader: tensors[given[0]].consumers[0])
        switch fill {
        case .zeros: try checkWeighted(join)
        case .mean: try checkReduced(join)
        }
        return join
    }

    /// Zeros leave a term out where what the branches give is put side by side for a weighted sum.
    private func checkWeighted(_ join: BranchJoin) throws(JoinFault) {
        let name = operators[join.reader].name
        guard operators[join.reader].kind == "Concat" else {
            throw JoinFault(
                reason: "zeros stand for a branch where a Concat joins it, and \(name) is a "
                    + operators[join.reader].kind)
        }
        for tensor in tensors where tensor.producer == join.reader {
            let kinds = tensor.consumers.map { operators[$0].kind }
            guard !tensor.isOutput, !kinds.isEmpty,
                kinds.allSatisfy({ ["MatMul", "Convolution"].contains($0) })
            else {
                throw JoinFault(
                    reason: "zeros stand for a branch where only MatMul or Convolution read the "
                        + "join, and \(name) is "
                        + (tensor.isOutput
                            ? "an output" : "read by " + kinds.joined(separator: ", ")))
            }
        }
    }

    /// The mean of the others leaves a branch out where all of them are added up or averaged.
    private func checkReduced(_ join: BranchJoin) throws(JoinFault) {
        let reductions = ["ReduceMean", "ReduceSum"]
        let first = tensors[join.tensors[0]].descriptor
        let isAlike = join.tensors.allSatisfy {
            tensors[$0].descriptor.type == first.type && tensors[$0].descriptor.shape == first.shape
        }
        let readsMore = tensors.indices.contains {
            tensors[$0].consumers.contains(join.reader) && !join.tensors.contains($0)
        }
        guard isAlike, !readsMore else {
            throw JoinFault(
                reason: "the mean of branches stands for one where all are of one type and shape "
                    + "and nothing else is joined with them; at \(operators[join.reader].name) that is "
                    + "not so")
        }
        var last = join.reader
        if operators[last].kind == "Concat" {
            let made = tensors.filter { $0.producer == last }
            guard made.count == 1, !made[0].isOutput, made[0].consumers.count == 1 else {
                throw JoinFault(
                    reason: "the mean of branches stands for one where a ReduceMean or ReduceSum "
                        + "alone reads \(operators[last].name)")
            }
            last = made[0].consumers[0]
        }
        // As many elements as one branch gives: it is over the branches, and over nothing else.
        let made = tensors.filter { $0.producer == last }
        guard reductions.contains(operators[last].kind), made.count == 1,
            made[0].descriptor.elementCount == first.elementCount
        else {
            throw JoinFault(
                reason: "the mean of branches stands for one where a ReduceMean or ReduceSum over "
                    + "them joins them, and \(operators[last].name) is a \(operators[last].kind)")
        }
    }
}
