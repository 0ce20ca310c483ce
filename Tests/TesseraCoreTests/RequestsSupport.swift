@testable import TesseraCore

/// Plans over a model of four operators, whose last one also reads what the first one makes.
enum RequestsFixture {
    static let manifest = PlannerInstances.manifest
    static let entry = member(9)

    static let outline: ModelOutline = {
        var outline = PlannerInstances.chain(
            operations: [1_000, 1_000, 1_000, 1_000], elements: 10, weights: 1_000)
        outline.tensors[1].consumers = [1, 3]
        return outline
    }()

    static func member(_ number: Int, boot: UInt64 = 1) -> NodeBoot {
        var member = PlannerInstances.member(number)
        member.boot.counter = boot
        return member
    }

    /// A plan that gives each host in turn the operators up to the next cut.
    static func plan(
        hosts: [Int], cuts: [Int], round: UInt64 = 1, proposer: Int = 0, window: Int = 2,
        without: Int? = nil, outline: ModelOutline = outline
    ) -> NamedPlan {
        var fragments: [Fragment] = []
        var stages: [Stage] = []
        var start = 0
        for (host, end) in zip(hosts, cuts + [outline.operators.count]) {
            stages.append(
                Stage(
                    operators: start..<end, mode: .single,
                    fragments: fragments.count..<(fragments.count + 1)))
            fragments.append(Fragment(host: member(host), operators: start..<end))
            start = end
        }
        let plan = Plan(
            manifest: outline.manifest, ballot: Ballot(round: round, proposer: member(proposer)),
            without: without.map { member($0) }, stages: stages, fragments: fragments,
            routes: Plan.routes(for: outline, fragments: fragments),
            window: window,
            predictedPeriodMicroseconds: 10, predictedLatencyMicroseconds: 20)
        return name(plan)
    }

    /// A name that tells all plans of these tests apart.
    static func name(_ plan: Plan) -> NamedPlan {
        var fold: UInt64 = 1
        for fragment in plan.fragments {
            fold = fold &* 1_000_003 &+ fragment.host.node.words.0
            fold = fold &* 1_000_003 &+ UInt64(fragment.operators.upperBound)
        }
        return NamedPlan(
            id: PlanID(
                plan.ballot.round, plan.ballot.proposer.node.words.0, fold,
                plan.without?.node.words.0 ?? 0), plan: plan)
    }

    static func layout(_ plan: NamedPlan) -> PlanLayout { PlanLayout(plan, outline: outline) }

    static func attempt(_ plan: NamedPlan, request: UInt64 = 1, number: UInt8 = 1) -> AttemptID {
        AttemptID(
            request: RequestID(entry: entry, counter: request), number: number, plan: plan.id)
    }

    /// The header of the slice of a tensor that goes to a fragment, or to the entry.
    static func header(
        _ attempt: AttemptID, _ layout: PlanLayout, tensor: Int, to destination: Endpoint,
        remaining: TimeSpan = .seconds(1)
    ) -> SliceHeader {
        let route = layout.plan.routes.firstIndex {
            $0.tensor == tensor && $0.destination == destination
        }
        return SliceHeader(
            attempt: attempt, route: route ?? -1, type: .float32, shape: [10],
            remaining: remaining)
    }

    static func payload(_ number: UInt64) -> Payload {
        Payload(id: PayloadID(number: number), byteCount: 40)
    }

    static func piece(_ number: UInt64) -> TensorPiece { TensorPiece(payload: payload(number)) }

    static func whole(_ number: UInt64) -> JoinedTensor { JoinedTensor(pieces: [piece(number)]) }
}

extension Array<Directive> {
    var released: [UInt64] {
        compactMap { if case .release(let payload) = $0 { payload.number } else { nil } }
    }

    var executed: [AttemptID] {
        compactMap { if case .execute(let attempt, _, _, _, _) = $0 { attempt } else { nil } }
    }

    var slices: [(header: SliceHeader, payload: UInt64, target: NodeBoot)] {
        compactMap {
            if case .sendSlice(let header, let piece, _, let target) = $0 {
                (header, piece.payload.id.number, target)
            } else {
                nil
            }
        }
    }

    func requests(to target: NodeBoot) -> [RequestMessage] {
        compactMap {
            if case .send(.request(let message), to: target) = $0 { message } else { nil }
        }
    }

    var rejected: [RequestError] {
        compactMap { if case .reject(_, let error) = $0 { error } else { nil } }
    }

    var answered: [ClientID] {
        compactMap { if case .answer(let client, _, _) = $0 { client } else { nil } }
    }

    var agreement: [(message: AgreementMessage, target: NodeBoot)] {
        compactMap {
            if case .send(.agreement(let message), let target) = $0 {
                (message, target)
            } else {
                nil
            }
        }
    }

    /// Tickets granted, by entry.
    var tickets: [(entry: NodeBoot, numbers: [UInt64])] {
        compactMap {
            if case .send(.request(.tickets(_, let numbers)), let entry) = $0 {
                (entry, numbers)
            } else {
                nil
            }
        }
    }
}
