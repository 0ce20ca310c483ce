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

    /// The two speak no common version; names the one that is behind, since both ends log it.
    static func version(of one: Greeting, and other: Greeting) -> Refusal {
        let (old, new) =
            one.versions.maximum < other.versions.maximum ? (one, other) : (other, one)
        func said(_ greeting: Greeting) -> String {
            "\(greeting.name) speaks versions \(greeting.versions.minimum) to "
                + "\(greeting.versions.maximum) of the protocol"
        }
        return Refusal(
            .incompatibleVersion,
            "\(said(old)), \(said(new)): update tessera on \(old.name)")
    }

    /// Whether a connection ended because the two do not belong together, which waiting does not
    /// mend.
    static func isMisfit(_ reason: Goodbye.Reason) -> Bool {
        reason == .incompatibleVersion || reason == .otherMesh
    }

    /// Its mesh is another one.
    static let otherMesh = Refusal(
        .otherMesh, "the two belong to different meshes: check --mesh on both")
    /// It proved a secret that was dropped meanwhile.
    static let droppedSecret = Refusal(
        .otherMesh,
        "the mesh has exchanged its secret, and the device was heard under the old one only: bring "
            + "the new one to it")
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
    static func tooManyPeers(_ count: Int) -> Refusal {
        Refusal(.overloaded, "the node has \(count) peers already")
    }
    /// The node stops.
    static let leaving = Refusal(.leaving, "the node is leaving")

    /// Checks a greeting against our own, against the meshes that are accepted, and against the node
    /// that TLS proved; nil for a connection without TLS, which proves it in another way.
    static func check(
        _ greeting: Greeting, against own: Greeting, tags: [String], certified: NodeID?
    ) throws(Refusal) {
        guard WireVersions.negotiate(ours: own.versions, theirs: greeting.versions) != nil else {
            throw .version(of: greeting, and: own)
        }
        guard tags.contains(greeting.meshTag) else { throw .otherMesh }
        guard greeting.member.node != own.member.node else { throw .ownNode }
        guard greeting.purpose == own.purpose else { throw .badGreeting }
        if let certified, certified != greeting.member.node { throw .badGreeting }
    }
}
