import TesseraCore
import TesseraWire

/// Why a connection is not accepted; what the peer is told, and words for the log.
struct Refusal: Error, Hashable, CustomStringConvertible {
    /// What the peer is told.
    let reason: Goodbye.Reason
    /// The same for people.
    let description: String

    init(_ reason: Goodbye.Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }

    /// Its protocol is another one.
    static func version(_ versions: WireVersions) -> Refusal {
        let own = WireVersions.supported
        return Refusal(
            .incompatibleVersion,
            "one side speaks the protocol versions \(own.minimum) to \(own.maximum), the other "
                + "\(versions.minimum) to \(versions.maximum): run the same release on both"
        )
    }

    /// Its mesh is another one.
    static let otherMesh = Refusal(
        .otherMesh, "the two belong to different meshes: check --mesh on both")
    /// The greeting claims what TLS did not prove, or another purpose.
    static let badGreeting = Refusal(
        .protocolError, "the greeting does not fit the connection or the certificate")
    /// The node dialled one of its own addresses.
    static let ownNode = Refusal(.ownNode, "the address is this node's own")
    /// The run was replaced.
    static let olderRun = Refusal(
        .staleBoot, "a newer run of that node is connected already")
    /// There is a connection already.
    static let duplicate = Refusal(.duplicate, "there is a connection to that node already")
    /// A data connection without a control connection.
    static let noSession = Refusal(.other, "there is no control connection to that node")
    /// A data connection without encryption that is not allowed.
    static let plainNotAllowed = Refusal(
        .protocolError, "a data connection without encryption that was not agreed on")
    /// Too many peers.
    static let tooManyPeers = Refusal(
        .overloaded, "the node has \(TransportLimits.sessionsMax) peers already")
    /// The node stops.
    static let leaving = Refusal(.leaving, "the node is leaving")

    /// Checks a greeting against our own and against the node that TLS proved; nil for a connection
    /// without TLS, which proves it in another way.
    static func check(
        _ greeting: Greeting, against own: Greeting, certified: NodeID?
    ) throws(Refusal) {
        guard WireVersions.negotiate(ours: own.versions, theirs: greeting.versions) != nil else {
            throw .version(greeting.versions)
        }
        guard greeting.meshTag == own.meshTag else { throw .otherMesh }
        guard greeting.member.node != own.member.node else { throw .ownNode }
        guard greeting.purpose == own.purpose else { throw .badGreeting }
        if let certified, certified != greeting.member.node { throw .badGreeting }
    }
}
