import NIOHTTP1
import TesseraAPI

/// What a plan's stages take by what was measured, and which of them limits it.
///
/// A stage that was not measured counts as expected, and so do the links.
struct PlanLoad: Equatable {
    /// What the limiting stage is busy with.
    enum Limit: String {
        case computing
        case links
    }

    /// The stage that limits the plan; nil if it has none.
    var bottleneck: Int?
    /// What that stage is busy with.
    var limit = Limit.computing
    /// Time per item in a stream; nil if no stage was measured.
    var periodMicroseconds: Int64?
    /// Time of one item alone; nil if no stage was measured.
    var latencyMicroseconds: Int64?
    /// For each stage: microseconds per item that its busiest node or link works.
    var stageMicroseconds: [Double]

    init(_ plan: PlanDocument) {
        let measured = Self.busiest(plan) { $0.measuredMicroseconds ?? $0.predictedMicroseconds }
        bottleneck = measured.stage
        limit = measured.limit
        stageMicroseconds = measured.stages
        guard plan.stages.contains(where: { $0.measuredMicroseconds != nil }) else { return }
        // The planner knows more than the document says, such as the shares of replicas: its figure
        // is scaled by what the busiest node or link takes more or less than expected.
        let expected = Self.busiest(plan, \.predictedMicroseconds)
        periodMicroseconds =
            expected.microseconds > 0
            ? Int64(
                (Double(plan.predictedPeriodMicroseconds) * measured.microseconds
                    / expected.microseconds).rounded()) : plan.predictedPeriodMicroseconds
        let more = plan.stages.reduce(0) { sum, stage in
            sum + (stage.measuredMicroseconds ?? stage.predictedMicroseconds)
                - stage.predictedMicroseconds
        }
        latencyMicroseconds = max(0, plan.predictedLatencyMicroseconds + more)
    }

    /// The node or link that each item keeps busy longest, and its longest stage.
    private static func busiest(
        _ plan: PlanDocument, _ time: (StageDocument) -> Int64
    ) -> (stage: Int?, limit: Limit, microseconds: Double, stages: [Double]) {
        // Of replicas each computes a part of the items.
        let shares = plan.stages.map { stage in
            Double(time(stage)) / Double(stage.mode == "replicas" ? max(1, stage.nodes.count) : 1)
        }
        var nodes: [String: Double] = [:]
        for (stage, share) in zip(plan.stages, shares) {
            for node in stage.nodes { nodes[node, default: 0] += share }
        }
        var result: (stage: Int?, limit: Limit, microseconds: Double) = (nil, .computing, 0)
        var stages: [Double] = []
        for (index, stage) in plan.stages.enumerated() {
            let busy = stage.nodes.compactMap { nodes[$0] }.max() ?? 0
            let isLonger =
                busy == result.microseconds && result.limit == .computing
                && (result.stage.map { shares[index] > shares[$0] } ?? true)
            if busy > result.microseconds || isLonger { result = (index, .computing, busy) }
            let link = Double(stage.linkMicroseconds)
            if link > result.microseconds { result = (index, .links, link) }
            stages.append(max(busy, link))
        }
        return (result.stage, result.limit, result.microseconds, stages)
    }
}

extension APIClient {
    /// The plan that runs for a model; nil if none does.
    func plan(of model: String) async throws -> PlanDocument? {
        let answer = try await call(
            .GET, "/tessera/v1/models/\(APIClient.component(model))/plan")
        // Nothing runs for it now, or it was just removed.
        if answer.status == 503 || answer.status == 404 { return nil }
        try Self.check(answer)
        return try read(PlanDocument.self, answer.body)
    }
}
