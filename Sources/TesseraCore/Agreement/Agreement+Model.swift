extension Agreement {
    /// What a plan depends on, so far as a change of it is worth another look at once.
    struct Look: Sendable {
        var pool: [NodeBoot] = []
        var measuredLinks = 0
        var speeds: [UInt64] = []

        init() {}

        init(_ view: View) {
            pool = view.pool
            measuredLinks = view.measuredLinks
            speeds = view.speeds
        }
    }

    /// What a host that cannot do its part said of itself.
    struct Refusal: Sendable {
        /// At the first time it is believed so long: what took the memory may be a staging of another
        /// model that fails just now.
        static let span = TimeSpan.milliseconds(2_500)
        /// Each further refusal doubles that, up to 20 s.
        static let doublings = 3

        /// The memory that it can give, in bytes; 0 if it is left out for another reason.
        var freeBytes: Int
        /// Until when that counts.
        var until: Timestamp
        /// How often it refused in a row.
        var count: Int
    }

    /// What this node knows of the agreement on one model.
    struct Model {
        var register = PlanRegister()
        var round: PlanRound?
        /// Somebody else's staging that this node knows of.
        var lease: (bundle: PlanBundle, until: Timestamp)?
        /// Whose round this node promised last, and until when it starts none of its own.
        var yielding: (to: NodeBoot, until: Timestamp)?
        /// The need as it stands, and since when.
        var need: PlanRound.Need?
        var needSince = Timestamp.zero
        /// Whether the host that a repair is about is gone, and not only on its way out.
        var isHostGone = false
        /// What the last finished look at improvement saw, or what the current plan was made for.
        var considered = Look()
        /// The operator's settings that it saw; nil before the first one.
        var consideredSettings: ModelSettings?
        /// What this node saw when the round began that it promised last, its own included, and the
        /// members of that round.
        var proposed: (ballot: Ballot, look: Look, members: [NodeBoot])?
        /// The settings that this node's last round planned with.
        var plannedSettings: (ballot: Ballot, settings: ModelSettings)?
        var consideredAt = Timestamp.zero
        /// How long the worker took for this node's last plan.
        var planSpan = TimeSpan.zero
        /// Looks in a row that found a better plan for unchanged nodes.
        var betterLooks = 0
        /// After a failed round: not before.
        var notBefore = Timestamp.zero
        var failures = 0
        /// Since when two decisions of parts that met again wait for a common one.
        var conflictSince: Timestamp?
        var hasConflict: Bool { conflictSince != nil }
        /// The decisions that this node was told beside its own since then, newest last.
        private var rivals: [(ballot: Ballot, hosts: [NodeBoot])] = []
        /// Until when the current plan is given time before a better one is looked for.
        var settlesUntil = Timestamp.zero
        /// The ballots of the plans that the current one came after, newest last.
        private(set) var formerBallots: [Ballot] = []
        /// The nodes that could vote when the current plan was decided, or since.
        private var decidedVoters: [NodeID] = []
        /// Whether nodes that flapped are used too: without them there was no plan.
        var takesFlapping = false
        /// Why no plan can be made.
        var impossible: String?
        /// What hosts refused since the last decision.
        private(set) var refusals: [NodeBoot: Refusal] = [:]

        /// A host refused its part, and has so much memory for it.
        mutating func noteRefusal(by host: NodeBoot, freeBytes: Int, now: Timestamp) {
            let count = (refusals[host]?.count ?? 0) + 1
            refusals[host] = Refusal(
                freeBytes: freeBytes,
                until: now + Refusal.span * (1 << Int64(min(count - 1, Refusal.doublings))),
                count: count)
        }

        /// Nothing that hosts refused counts any more.
        mutating func forgetRefusals() { refusals = [:] }

        /// More plans than decided in the time that a peer may be away and come back usefully.
        private static let formersMax = 32

        /// Notes a decision and the one before it, if it was made just now.
        ///
        /// It comes after that one only if most who could vote under it could vote now: else another
        /// part of the mesh may follow the earlier one with good reason. It also comes after a decision of
        /// a part that was met before if all that this one used could vote.
        ///
        /// - Parameters:
        ///   - former: The decision before it.
        ///   - ballot: The decision. If this node promised it, the members of its round could vote.
        ///   - seen: Who could vote as far as this node sees, which may not know of a loss yet.
        mutating func noteSuccession(
            of former: Ballot?, by ballot: Ballot, seen: [NodeBoot]
        ) {
            let voters = proposed?.ballot == ballot ? proposed?.members ?? seen : seen
            let nodes = voters.map(\.node)
            let common = decidedVoters.count { nodes.contains($0) }
            if let former {
                if common * 2 <= decidedVoters.count { formerBallots = [] } else { note(former) }
                for rival in rivals where rival.hosts.allSatisfy(voters.contains) {
                    note(rival.ballot)
                }
            } else {
                formerBallots = []
            }
            rivals = []
            decidedVoters = nodes
        }

        /// Notes who can vote while the current plan stands: who came after its decision follows it
        /// like the others.
        mutating func noteVoters(_ voters: [NodeBoot]) {
            guard register.current != nil else { return }
            for voter in voters where !decidedVoters.contains(voter.node) {
                decidedVoters.append(voter.node)
            }
        }

        /// Notes a decision that met the current one.
        mutating func noteRival(_ plan: Plan) {
            guard !rivals.contains(where: { $0.ballot == plan.ballot }) else { return }
            if rivals.count >= Self.formersMax { rivals.removeFirst() }
            rivals.append((plan.ballot, plan.hosts))
        }

        private mutating func note(_ former: Ballot) {
            if formerBallots.count >= Self.formersMax { formerBallots.removeFirst() }
            formerBallots.append(former)
        }

        /// Notes what a finished look at improvement saw.
        mutating func noteLook(_ view: View, now: Timestamp) {
            considered = Look(view)
            consideredSettings = view.settings
            consideredAt = now
        }
    }
}
