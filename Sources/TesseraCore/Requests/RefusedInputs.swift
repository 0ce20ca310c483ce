/// The inputs that are not run for a while, because two nodes died of them.
struct RefusedInputs: Sendable {
    /// One such input.
    struct Entry: Hashable, Sendable {
        var manifest: ManifestID
        var digest: InputDigest
        var until: Timestamp
    }

    /// How long an input is refused: long enough for its client to stop sending it.
    static let span = TimeSpan.seconds(600)
    /// Each cost two nodes; more of them at once are forgotten, oldest first.
    static let entriesMax = 64

    private(set) var entries: [Entry] = []
    /// Clients whose inputs killed and whose digests are being computed.
    private var expected: [ClientID: ManifestID] = [:]

    /// Whether a request of this model must show its digest before it runs.
    mutating func hasAny(of manifest: ManifestID, now: Timestamp) -> Bool {
        guard !entries.isEmpty else { return false }
        entries.removeAll { $0.until <= now }
        return entries.contains { $0.manifest == manifest }
    }

    /// Whether inputs are refused now.
    func refuses(_ digest: InputDigest, of manifest: ManifestID, now: Timestamp) -> Bool {
        entries.contains { $0.digest == digest && $0.manifest == manifest && $0.until > now }
    }

    /// Refuses inputs for a while from now.
    mutating func refuse(
        _ digest: InputDigest, of manifest: ManifestID, for span: TimeSpan, now: Timestamp
    ) {
        let until = now + min(span, Self.span)
        if let known = entries.firstIndex(where: { $0.digest == digest && $0.manifest == manifest })
        {
            entries[known].until = max(entries[known].until, until)
            return
        }
        if entries.count >= Self.entriesMax { entries.removeFirst() }
        entries.append(Entry(manifest: manifest, digest: digest, until: until))
    }

    /// The digest of this client's inputs is to be refused once it is known.
    mutating func expect(_ client: ClientID, of manifest: ManifestID) {
        if expected.count < Self.entriesMax { expected[client] = manifest }
    }

    /// The model of such a client.
    mutating func takeExpected(_ client: ClientID) -> ManifestID? {
        expected.removeValue(forKey: client)
    }
}
