/// How a stage uses its nodes.
public enum StageMode: UInt8, CaseIterable, Sendable {
    /// One node runs the stage.
    case single = 1
    /// Each node runs the whole stage; a request uses one of them.
    case replicas
    /// Each node computes a range of output rows.
    case rows
    /// Each node runs branches of the graph that read nothing of each other.
    case branches
    /// Each node runs the stage for the requests that came in at it, and for no others.
    case entry
}

/// A consecutive run of operators and the fragments that compute it together.
public struct Stage: Hashable, Sendable {
    /// The operators, a range of `ModelOutline.operators`.
    public var operators: Range<Int>
    /// How the fragments share the work.
    public var mode: StageMode
    /// Indices into `Plan.fragments`.
    public var fragments: Range<Int>

    /// Makes a stage.
    public init(operators: Range<Int>, mode: StageMode, fragments: Range<Int>) {
        self.operators = operators
        self.mode = mode
        self.fragments = fragments
    }
}

/// What is compiled and run: part of a model, named by content, so that it is compiled and counted
/// once however many plans use it.
public struct FragmentKey: Hashable, Comparable, Sendable {
    /// The model, which fixes graph and weights.
    public var manifest: ManifestID
    /// The operators.
    public var operators: Range<Int>
    /// The rows that it makes, as in `RowTile`; nil for all of them.
    public var rows: Range<Int>?

    /// Makes the key.
    public init(manifest: ManifestID, operators: Range<Int>, rows: Range<Int>? = nil) {
        self.manifest = manifest
        self.operators = operators
        self.rows = rows
    }

    /// By model, then by operators, then by rows, all rows first.
    public static func < (left: FragmentKey, right: FragmentKey) -> Bool {
        let one = (left.manifest, left.operators.lowerBound, left.operators.upperBound)
        let other = (right.manifest, right.operators.lowerBound, right.operators.upperBound)
        if one != other { return one < other }
        let rows = left.rows ?? -1 ..< -1
        let others = right.rows ?? -1 ..< -1
        return (rows.lowerBound, rows.upperBound) < (others.lowerBound, others.upperBound)
    }
}

/// What one node runs of one stage.
public struct Fragment: Hashable, Sendable {
    /// The node and the run of it that promised to host the fragment.
    public var host: NodeBoot
    /// The operators it computes.
    public var operators: Range<Int>
    /// In a stage of mode `rows`: the rows that it makes of the stage's outputs, as in `RowTile`.
    ///
    /// Nil for all of them.
    public var rows: Range<Int>?
    /// In a stage of mode `replicas`: its part of the requests, relative to its fellows'; at least 1.
    public var weight: Int

    /// Makes a fragment.
    public init(
        host: NodeBoot, operators: Range<Int>, rows: Range<Int>? = nil, weight: Int = 1
    ) {
        self.host = host
        self.operators = operators
        self.rows = rows
        self.weight = weight
    }
}

/// One end of a route.
public enum Endpoint: Hashable, Sendable {
    /// The node where the request came in.
    case entry
    /// A fragment, by its index in the plan.
    case fragment(Int)
}

/// A tensor on its way from where it is made to where it is read.
public struct Route: Hashable, Sendable {
    /// Index into `ModelOutline.tensors`.
    public var tensor: Int
    /// The rows of the tensor that travel; nil for all of it.
    public var rows: Range<Int>?
    /// Where it is made.
    public var source: Endpoint
    /// Where it is read.
    public var destination: Endpoint

    /// Makes a route.
    public init(
        tensor: Int, rows: Range<Int>? = nil, source: Endpoint, destination: Endpoint
    ) {
        self.tensor = tensor
        self.rows = rows
        self.source = source
        self.destination = destination
    }
}

/// How a model is cut over nodes.
///
/// Its `PlanID` is the SHA-256 of its canonical encoding (see `TesseraWire`), ballot included, so
/// that equal PlanIDs are equal plans of one decision.
public struct Plan: Hashable, Sendable {
    /// The model.
    public var manifest: ManifestID
    /// The decision that this plan belongs to.
    public var ballot: Ballot
    /// For an alternate: the node whose loss it answers.
    ///
    /// Nil for the decided plan itself.
    public var without: NodeBoot?
    /// The stages, covering every operator exactly once, in order.
    public var stages: [Stage]
    /// The fragments in stage order.
    public var fragments: [Fragment]
    /// Every slice that travels, in canonical order: see `Plan.routes(for:fragments:)`.
    public var routes: [Route]
    /// How many attempts may be in flight: the tickets that the gate hands out.
    public var window: Int
    /// What the planner expects: microseconds per item in a stream.
    public var predictedPeriodMicroseconds: Int64
    /// What the planner expects: microseconds for one item alone.
    public var predictedLatencyMicroseconds: Int64

    /// Makes a plan.
    public init(
        manifest: ManifestID, ballot: Ballot, without: NodeBoot? = nil, stages: [Stage],
        fragments: [Fragment], routes: [Route], window: Int,
        predictedPeriodMicroseconds: Int64, predictedLatencyMicroseconds: Int64
    ) {
        self.manifest = manifest
        self.ballot = ballot
        self.without = without
        self.stages = stages
        self.fragments = fragments
        self.routes = routes
        self.window = window
        self.predictedPeriodMicroseconds = predictedPeriodMicroseconds
        self.predictedLatencyMicroseconds = predictedLatencyMicroseconds
    }

    /// The node that hands out tickets: the lowest one of the first stage.
    public var gate: NodeBoot? {
        guard let first = stages.first else { return nil }
        return fragments[first.fragments].map(\.host).min()
    }

    /// The nodes where requests may come in if the plan keeps the input there, ascending; nil if they
    /// may come in anywhere.
    public var entries: [NodeBoot]? {
        guard let first = stages.first, first.mode == .entry else { return nil }
        return fragments[first.fragments].map(\.host).sorted()
    }

    /// Whether all of the first operators of a request that came in at `entry` run there.
    public func keepsLocal(operators count: Int, at entry: NodeBoot) -> Bool {
        stages.allSatisfy { stage in
            let hosts = fragments[stage.fragments].map(\.host)
            return stage.operators.lowerBound >= count
                || (stage.mode == .entry
                    ? hosts.contains(entry) : hosts.allSatisfy { $0 == entry })
        }
    }

    /// Every node that the plan uses, ascending, without doubles.
    public var hosts: [NodeBoot] {
        var result: [NodeBoot] = []
        for host in fragments.map(\.host).sorted() where result.last != host { result.append(host) }
        return result
    }

    /// The content key of the fragment at `index`.
    public func key(ofFragment index: Int) -> FragmentKey {
        FragmentKey(
            manifest: manifest, operators: fragments[index].operators,
            rows: fragments[index].rows)
    }

    /// The routes that stages with these fragments need, in canonical order: by tensor, then by
    /// destination fragment, the entry last, then by source fragment.
    ///
    /// A tensor goes straight from each fragment that makes it to each fragment that reads it, also
    /// over several stages, and to the entry if it is an output of the model. Of a tile it carries
    /// the rows that the tile makes, to a tile the rows that the tile reads, and between two tiles
    /// what both have; where that is nothing, there is no route. Fragments of the same operators
    /// without rows are replicas: a route joins each of them with each of their neighbours, and an
    /// attempt uses those of the replicas that its entry chose.
    public static func routes(for outline: ModelOutline, fragments: [Fragment]) -> [Route] {
        let tiles = fragments.map { fragment in
            fragment.rows.flatMap { outline.rowTile(of: fragment.operators, rows: $0) }
        }
        var routes: [Route] = []
        for (index, tensor) in outline.tensors.enumerated() {
            let all = outline.rowCount(ofTensor: index).map { 0..<$0 }
            let makers = tensor.producer.map { producer in
                fragments.indices.filter { fragments[$0].operators.contains(producer) }
            }
            let sources: [(Endpoint, Range<Int>?)] =
                makers?.map { maker in
                    let slice = tiles[maker]?.outputs.first { $0.tensor == index }
                    return (.fragment(maker), slice?.rows ?? all)
                } ?? [(.entry, all)]
            var destinations: [(Endpoint, Range<Int>?)] = []
            for (reader, fragment) in fragments.enumerated() {
                guard makers?.contains(reader) != true,
                    tensor.consumers.contains(where: fragment.operators.contains)
                else { continue }
                let slice = tiles[reader]?.inputs.first { $0.tensor == index }
                destinations.append((.fragment(reader), slice?.rows ?? all))
            }
            if tensor.isOutput { destinations.append((.entry, all)) }
            for (destination, wanted) in destinations {
                for (source, made) in sources {
                    var rows: Range<Int>?
                    if let wanted, let made {
                        rows = made.clamped(to: wanted)
                        if rows?.isEmpty == true { continue }
                        if rows == all { rows = nil }
                    }
                    routes.append(
                        Route(
                            tensor: index, rows: rows, source: source,
                            destination: destination))
                }
            }
        }
        return routes
    }
}

/// A plan with its name.
public struct NamedPlan: Hashable, Sendable {
    /// The SHA-256 of the plan's canonical encoding.
    public var id: PlanID
    /// The plan.
    public var plan: Plan

    /// Pairs a plan with its name.
    ///
    /// Whoever makes the pair answers for it: the wire computes it for everything that arrives, the
    /// planning worker for everything that is made here.
    public init(id: PlanID, plan: Plan) {
        self.id = id
        self.plan = plan
    }
}

/// What a round decides: a plan and, for the loss of each node it uses, the plan to use instead.
public struct PlanBundle: Hashable, Sendable {
    /// The plan.
    public var primary: NamedPlan
    /// At most one for each node that the primary uses, ascending by `without`.
    public var alternates: [NamedPlan]

    /// Makes a bundle.
    public init(primary: NamedPlan, alternates: [NamedPlan]) {
        self.primary = primary
        self.alternates = alternates
    }

    /// The primary, then the alternates.
    public var all: [NamedPlan] { [primary] + alternates }
}
