/// Something that happened in the mesh, for logs, `tessera events` and the tests.
public enum Report: Hashable, Sendable {
    /// A member is seen with a new status.
    case member(NodeBoot, status: MemberStatus, reason: String)
    /// A node's name became known or changed.
    case named(NodeID, String)
    /// The connection to a member broke while requests or plans relied on it.
    case lossDetected(NodeBoot)
    /// Another node told us that it cannot reach a member.
    case lossTold(NodeBoot, by: NodeID)
    /// Attempts that used a lost member were tried again under another plan.
    case redispatched(lost: NodeBoot, count: Int, to: PlanID)
    /// A round began.
    case proposed(ManifestID, Ballot, reason: String)
    /// A plan's hosts are staging it.
    case staging(ManifestID, PlanID)
    /// A plan was decided.
    case decided(ManifestID, PlanID, Plan)
    /// An alternate is ready on all its nodes, or is not any more.
    case armed(ManifestID, PlanID, without: NodeBoot, isArmed: Bool)
    /// The first right answer after a loss.
    case recovered(lost: NodeBoot, after: TimeSpan)
    /// A fragment ran longer on a node than its clock allows; a second attempt does without it.
    case late(NodeBoot, ran: TimeSpan, elsewhere: PlanID)
    /// Nodes died while they executed one request; inputs like it are refused for a while.
    case refused(ManifestID, deaths: [NodeBoot])
    /// An earlier run of this node ended in the middle of the engine's work.
    case crashed(CrashMark)
    /// A round ended without a decision.
    case roundFailed(ManifestID, Ballot, reason: String)
    /// No plan can be made: why.
    case unplannable(ManifestID, reason: String)
    /// A name in the catalogue changed.
    case catalogue(CatalogueEntry, loser: CatalogueEntry?)
    /// What goes to a node of a tensor is packed otherwise from now on, and why.
    case codec(ManifestID, tensor: String, to: NodeID, was: Codec, now: Codec, reason: String)
    /// A blob arrived, failed, or was lost.
    case blob(BlobID, String)
    /// A limit was reached and something was dropped or refused.
    case limit(String, count: Int)
}
