import Crypto
import Logging
import NIOCore
public import TesseraCore
import TesseraWire

/// What new connections go by: the keys, and the TLS contexts that were made of them.
struct TransportTrust: Sendable {
    let keyring: MeshKeyring
    let contexts: TLSContexts

    init(_ keyring: MeshKeyring, identity: NodeIdentity) throws(TransportError) {
        self.keyring = keyring
        do {
            contexts = try TLSContexts(MeshCertificates(keyring: keyring, identity: identity))
        } catch {
            throw .certificates(String(describing: error))
        }
    }
}

extension MeshKeyring {
    /// The keys that datagrams of membership are opened with.
    var gossipKeys: [DatagramOpener.Key] {
        accepted.map { DatagramOpener.Key(key: $0.gossip, tag: $0.tag) }
    }

    /// The keys that beacons are opened with.
    var beaconKeys: [DatagramOpener.Key] {
        accepted.map { DatagramOpener.Key(key: $0.beacon, tag: $0.tag) }
    }
}

/// A mesh that exchanges its secret while it runs.
extension PeerTransport {
    /// Takes other secrets from now on.
    ///
    /// Connections stay if their peer has shown to know a secret that is still accepted: by its
    /// certificate, or by a datagram since. The others end, so that who has a dropped secret only is
    /// out at once.
    public func use(_ keyring: MeshKeyring) throws(TransportError) {
        controlLoop.preconditionInEventLoop()
        replace(trust: try TransportTrust(keyring, identity: configuration.identity))
        sealer.use(keyring.used.gossip)
        opener.use(keyring.gossipKeys)
        let tags = keyring.tags
        for session in sessions.values.sorted(by: { $0.member < $1.member })
        where session.shownTags.isDisjoint(with: tags) {
            end(
                session, reason: Refusal.droppedSecret.description,
                goodbye: Goodbye(
                    Refusal.droppedSecret.reason, detail: Refusal.droppedSecret.description))
        }
    }

    /// The connected nodes that have not shown to know the secret with this tag.
    public func membersWithout(tag: String) -> [NodeID] {
        controlLoop.preconditionInEventLoop()
        return sessions.values.filter { !$0.shownTags.contains(tag) }.map(\.member.node).sorted()
    }
}
