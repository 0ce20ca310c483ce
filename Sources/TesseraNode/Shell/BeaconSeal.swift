import NIOCore
import Synchronization
import TesseraCore
import TesseraWire

/// Seals and opens the beacon's datagrams with the mesh's key; from any thread.
final class BeaconSeal: Sendable {
    private struct Ends: ~Copyable {
        var sealer: DatagramSealer
        var opener: DatagramOpener
    }

    private let ends: Mutex<Ends>

    init(keyring: MeshKeyring, member: NodeBoot) {
        let keys = keyring.used
        ends = Mutex(
            Ends(
                sealer: DatagramSealer(
                    purpose: .beacon, key: keys.beacon, generation: keys.generation,
                    sender: member),
                opener: DatagramOpener(
                    purpose: .beacon, keys: keyring.beaconKeys, generation: keys.generation,
                    receiver: member)))
    }

    /// Takes other keys from now on.
    func use(_ keyring: MeshKeyring) {
        ends.withLock { ends in
            ends.sealer.use(keyring.used.beacon)
            ends.opener.use(keyring.beaconKeys)
        }
    }

    func seal(_ bytes: [UInt8]) -> [UInt8] {
        ends.withLock { ends in
            // A beacon is a few dozen bytes; only one beyond the limit is refused.
            guard let sealed = try? ends.sealer.seal(ByteBuffer(bytes: bytes), to: nil) else {
                return []
            }
            return Array(sealed.readableBytesView)
        }
    }

    func open(_ bytes: [UInt8]) -> [UInt8]? {
        ends.withLock { ends in
            // Whatever is not of the mesh is nobody's business.
            guard let opened = try? ends.opener.open(ByteBuffer(bytes: bytes)) else { return nil }
            return Array(opened.payload.readableBytesView)
        }
    }
}
