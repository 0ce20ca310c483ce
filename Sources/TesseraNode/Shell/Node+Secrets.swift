import Logging
import NIOCore
import Synchronization
public import TesseraCore

/// Other secrets while the node runs.
extension Node {
    /// Takes the mesh's secrets from now on; connections stay, except those of peers that were heard
    /// under a dropped secret only.
    ///
    /// Not to be called again before it has returned.
    public func use(_ secrets: MeshSecrets) async throws {
        let keyring = try MeshKeyring(secrets, name: settings.mesh)
        let transport = transport
        try await shell.loop.submit { try transport.use(keyring) }.get()
        beaconSeal.use(keyring)
        // What is announced, and what is taken for this mesh, is fixed when discovery begins.
        let next = Self.makeDiscovery(
            settings, keyring: keyring, member: member, address: address, seal: beaconSeal,
            shell: shell, logger: logger)
        let before = discovery.withLock { discovery in
            defer { discovery = next }
            return discovery
        }
        await before.stop()
        next.start()
        logger.notice(
            "mesh secret",
            metadata: [
                "uses": "\(keyring.used.tag)",
                "accepts": "\(keyring.tags.dropFirst().joined(separator: " "))",
            ])
    }

    /// While the node accepts a second secret: the connected nodes that it has not heard under the one
    /// that it uses; nil if it accepts that one only.
    ///
    /// It would end their connections if it dropped the second one now.
    public func notHeardUnderUsedSecret() async -> [NodeID]? {
        let tags = transport.acceptedTags
        guard let used = tags.first, tags.count > 1 else { return nil }
        return await onLoop { $0.transport.membersWithout(tag: used) }
    }
}
