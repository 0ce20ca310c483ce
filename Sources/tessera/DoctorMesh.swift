import TesseraAPI
import TesseraCore

/// What a running agent says of itself and its mesh, as far as a doctor asks.
struct DoctorMesh {
    /// The agent.
    var status: StatusDocument
    /// The members.
    var members: [MemberDocument]
    /// Its metrics, by name, those without labels.
    var metrics: [String: Double]

    /// How full the quota may be: from here on blobs of other nodes find no room.
    private static let quotaShareMax = 0.9
    /// How far clocks may be apart: with more, a person who reads two logs side by side is misled.
    private static let clockMicrosecondsMax: Int64 = 1_000_000

    /// Asks an agent.
    static func ask(_ options: APIOptions) async throws -> DoctorMesh {
        // A certificate that was named is the agent's own, and this machine has other names.
        let isNameChecked = options.certificateFlag == nil
        return try await APIClient.with(options, isNameChecked: isNameChecked) { client in
            let status = try await client.document(StatusDocument.self, at: "/tessera/v1/status")
            let members = try await client.document(MembersDocument.self, at: "/tessera/v1/members")
            // An older agent has none; then what they would say is left out.
            let text = (try? await client.text(at: "/metrics")) ?? ""
            return DoctorMesh(
                status: status, members: members.members, metrics: plain(text))
        }
    }

    /// The metrics without labels in a text of Prometheus's format.
    static func plain(_ text: String) -> [String: Double] {
        var result: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            guard words.count == 2, !words[0].contains("{"), let value = Double(words[1]) else {
                continue
            }
            result[String(words[0])] = value
        }
        return result
    }

    /// What can be told without looking at this machine.
    func findings(address: String, mesh: String) -> [DoctorFinding] {
        [ready(address)] + (meshFinding(mesh).map { [$0] } ?? [])
            + [version, releases, clocks, engines, links, firewall, quota, limits]
            .compactMap { $0 } + health
    }

    private func ready(_ address: String) -> DoctorFinding {
        status.isReady
            ? .good("agent", "\(status.name) of mesh \(status.mesh) is ready at \(address)")
            : .warning(
                "agent", "\(status.name) is not ready: \(status.reason ?? "it does not say why")",
                next: "wait a few seconds; `tessera status` shows how it goes on")
    }

    private func meshFinding(_ mesh: String) -> DoctorFinding? {
        guard status.mesh != mesh else { return nil }
        return .warning(
            "mesh", "the agent is of mesh \(status.mesh), and these settings are of \(mesh)",
            next: "give the mesh that you mean with --mesh, to both")
    }

    private var version: DoctorFinding {
        status.release == Version.current
            ? .good("versions", "agent and this program are \(Version.current)")
            : .warning(
                "versions",
                "the agent is \(status.release), and this program \(Version.current)",
                next: "restart the agent with the newer of both")
    }

    /// The members that the agent has a connection to.
    private var peers: [MemberDocument] { members.filter { $0.isConnected && !$0.isSelf } }

    /// Agents one version of the protocol apart serve together; more is not promised.
    private var releases: DoctorFinding? {
        guard !peers.isEmpty else { return nil }
        func text(_ name: String, _ member: MemberDocument?) -> String {
            "\(name) has \(member?.release ?? "an older release")"
                + (member?.protocolVersion.map { " (protocol \($0))" } ?? "")
        }
        let own = text("this agent", members.first(where: \.isSelf))
        let others = peers.filter { $0.release != status.release }.map { text($0.name, $0) }
        guard !others.isEmpty else {
            return .good("releases", "all \(peers.count) peers have \(status.release) too")
        }
        return .warning(
            "releases", (others.sorted() + [own]).joined(separator: ", "),
            next: "upgrade the older ones, one device after the other; agents more than one "
                + "version of the protocol apart may refuse each other")
    }

    /// Requests do not rest on the time of day; whoever reads logs and traces of two devices does.
    private var clocks: DoctorFinding? {
        let told = peers.compactMap { peer in
            peer.clockOffsetMicroseconds.map { (peer, $0, peer.clockUncertaintyMicroseconds ?? 0) }
        }
        guard !told.isEmpty else { return nil }
        let wrong = told.filter { $1.magnitude > UInt64(Self.clockMicrosecondsMax + $2) }.map {
            "that of \($0.name) is \(Self.clockText($1, within: $2))"
        }
        guard wrong.isEmpty else {
            return .warning(
                "clocks", "beside this agent's clock " + wrong.sorted().joined(separator: ", "),
                next: "set the clock that is wrong, or start a time service there (`timedatectl "
                    + "set-ntp true`); the mesh works without, and logs, events and traces of "
                    + "these devices do not fit together")
        }
        let most = told.max { $0.1.magnitude < $1.1.magnitude }
        return .good(
            "clocks",
            "\(told.count) compared; the farthest is "
                + (most.map { "\($0.0.name)'s, \(Self.clockText($0.1, within: $0.2))" } ?? ""))
    }

    /// An offset as people read it.
    private static func clockText(_ microseconds: Int64, within uncertainty: Int64) -> String {
        let size = Int64(clamping: microseconds.magnitude)
        let text =
            size < 10_000_000
            ? Figures.milliseconds(microseconds: size) + " ms" : Figures.span(microseconds: size)
        return text + (microseconds < 0 ? " behind" : " ahead")
            + " (within \(Figures.milliseconds(microseconds: uncertainty)) ms)"
    }

    /// Members with different engines serve together, but not to the last bit.
    private var engines: DoctorFinding? {
        let alive = members.filter { $0.status == "alive" }
        let kinds = Set(alive.compactMap(\.fingerprint))
        guard !kinds.isEmpty else { return nil }
        guard kinds.count > 1 else {
            return .good("engines", "all \(alive.count) members have the same engine")
        }
        return .warning(
            "engines",
            "\(kinds.count) different engines among \(alive.count) members: answers of one plan are "
                + "equal to 1e-5 only",
            next: "`tessera members --json` shows them; give all the same version of OpenVINO")
    }

    private var links: DoctorFinding {
        let apart = members.filter { $0.status == "alive" && !$0.isConnected && !$0.isSelf }
        guard apart.isEmpty else {
            let names = apart.map(\.name).sorted().joined(separator: ", ")
            return .warning(
                "members", "no connection to \(names)",
                next: "look at the firewalls in between: TCP and UDP, in both directions")
        }
        let count = members.count { $0.status == "alive" }
        guard count > 1 else {
            return .warning(
                "members", "the agent is alone",
                next: "start agents with the same mesh and secret, or name one with --seed; if "
                    + "they run, look at the firewalls: agents need TCP and UDP at the port of "
                    + "\(status.listen), the beacon and mDNS need multicast")
        }
        return .good("members", "\(count) members alive, with connections to all")
    }

    /// Whether somebody was found whom no connection reaches; nil if nobody was found at all.
    private var firewall: DoctorFinding? {
        guard let unanswered = status.unanswered, !unanswered.isEmpty else {
            return peers.isEmpty
                ? nil : .good("firewall", "everybody who was found could be reached")
        }
        let places = unanswered.joined(separator: ", ")
        return .warning(
            "firewall", "found \(places), and no connection comes about",
            next: "if a device is on there, open the port in its firewall, TCP and UDP, and that "
                + "of \(status.listen) in this one's (`sudo nft list ruleset` shows its rules); "
                + "one that is off is forgotten by itself")
    }

    private var quota: DoctorFinding? {
        guard let used = metrics["tessera_disk_used_bytes"],
            let quota = metrics["tessera_disk_quota_bytes"], quota > 0
        else { return nil }
        let text = "\(Figures.bytes(Int(used))) of \(Figures.bytes(Int(quota))) are used"
        guard used > quota * Self.quotaShareMax else { return .good("quota", text) }
        return .warning(
            "quota", text, next: "remove models, or give more with --disk")
    }

    /// What the API refused because there was too much of it.
    private var limits: DoctorFinding? {
        let prefix = "apiLimit:"
        let reached = status.counters.filter { $0.key.hasPrefix(prefix) }
        guard !reached.isEmpty else { return nil }
        let words = reached.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { name, count in
            "\(name.dropFirst(prefix.count)) \(count) times"
        }
        guard !words.isEmpty else { return .good("limits", "the API reached none since its start") }
        return .warning(
            "limits", "the API reached " + words.joined(separator: ", "),
            next: "look in Docs/Operations.md, Limits, what they are; a client may be wrong, or "
                + "unfriendly")
    }

    private var health: [DoctorFinding] {
        status.health.map { .warning("health", $0, next: "see `tessera events`") }
    }
}
