import NIOCore
import TesseraCore

/// The runs that have shown who they are in a TLS handshake, to this node or to a member of a large
/// mesh; only their datagrams are heard.
struct KnownBoots {
    private var expiries: [NodeBoot: NIODeadline] = [:]

    /// Notes a run; the one that expires first makes room.
    mutating func insert(_ member: NodeBoot, at now: NIODeadline) {
        if expiries[member] == nil, expiries.count >= TransportLimits.knownBootsMax {
            expiries = expiries.filter { $0.value > now }
            if expiries.count >= TransportLimits.knownBootsMax,
                let first = expiries.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })
            {
                expiries[first.key] = nil
            }
        }
        expiries[member] = now + TransportLimits.knownBootLifetime
    }

    /// Whether the run is known.
    func contains(_ member: NodeBoot, at now: NIODeadline) -> Bool {
        expiries[member].map { $0 > now } ?? false
    }
}
