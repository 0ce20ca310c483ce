/// A bug planted at the boundary of the core, so that a test can see its checker fire: the simulated
/// shell tampers with messages and directives as an agent with that bug would.
package enum Sabotage: String, CaseIterable, Sendable {
    /// A slice arrives under the name of another attempt that is open.
    case swapsAttempts
    /// The engine's result is told twice.
    case tellsResultTwice
    /// The engine leaves out the last operator of a fragment.
    case skipsOperator
    /// A client is answered twice.
    case answersTwice
    /// An exit counts as sure, whatever its values say.
    case trustsAnyExit
    /// An answer does not say that branches were left out of it.
    case hidesLeftOut
    /// A client is never answered.
    case answersNever

    /// Joins and duplicate tables are keyed by the request alone: what a host gets of a later
    /// attempt counts for the first one.
    case joinsWithoutPlan
    /// A view change resets an acceptor's promises.
    case forgetsPromises
    /// A proposer takes every host for ready as soon as it has asked.
    case acceptsBeforeReady
    /// An epoch is a round without its proposer.
    case epochWithoutProposer
    /// A host that dropped a plan says nothing to those who still send.
    case dropsWithoutGone
    /// Each route of a plan has tickets of its own.
    case creditPerRoute
    /// A member that was declared dead comes back without raising its incarnation.
    case revivesTheDead
    /// Agreement does not tell the runs of a node apart: a vote of another one counts.
    case votesAcrossBoots
    /// A decision that was just made is taken for one of another part of the mesh.
    case doubtsDecisions
    /// Every large slice is packed with loss, whatever its model allows.
    case packsAnything
}
