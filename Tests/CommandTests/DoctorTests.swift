import TesseraAPI
import TesseraCore
import Testing

@testable import tessera

@Suite("Doctor")
struct DoctorTests {
    private func doctor() throws -> Doctor {
        Doctor(
            try AgentConfiguration(AgentSettings(flags: [:], environment: { _ in nil }, file: nil)))
    }

    private func member(
        _ name: String, fingerprint: String? = "e", isSelf: Bool = false, isConnected: Bool = true,
        status: String = "alive"
    ) -> MemberDocument {
        MemberDocument(
            name: name, id: name, boot: 1, address: "?", status: status, isSelf: isSelf,
            isConnected: isConnected, isLeaving: false, fingerprint: fingerprint)
    }

    /// A connected peer that tells its release and its clock.
    private func peer(
        _ name: String, release: String? = "0.1.0", version: Int = 3, ahead: Int64? = 0,
        within: Int64 = 500
    ) -> MemberDocument {
        var member = member(name)
        member.release = release
        member.protocolVersion = version
        member.clockOffsetMicroseconds = ahead
        member.clockUncertaintyMicroseconds = ahead == nil ? nil : within
        return member
    }

    private func findings(
        _ members: [MemberDocument], metrics: [String: Double] = [:], health: [String] = [],
        unanswered: [String]? = nil, release: String = "0.1.0", counters: [String: UInt64] = [:]
    ) -> [String: DoctorFinding] {
        var status = OperationsFixture.status(counters: counters, health: health)
        status.unanswered = unanswered
        status.release = release
        let mesh = DoctorMesh(status: status, members: members, metrics: metrics)
        return Dictionary(
            mesh.findings(address: "http://x", mesh: "home").map { ($0.check, $0) },
            uniquingKeysWith: { $1 })
    }

    @Test("the worst finding decides the exit code")
    func codes() {
        let good = DoctorFinding.good("a", "b")
        let warning = DoctorFinding.warning("a", "b", next: "c")
        let failed = DoctorFinding.failed("a", "b", next: "c")
        #expect(DoctorDocument([]).code == 0)
        #expect(DoctorDocument([good]).code == 0)
        #expect(DoctorDocument([good, warning, good]).code == 1)
        #expect(DoctorDocument([failed, warning, good]).code == 2)
    }

    @Test("members without a connection, and with other engines, are told")
    func members() {
        let fine = findings([member("a", isSelf: true), member("b")])
        #expect(fine["members"]?.state == .good && fine["engines"]?.state == .good)
        let apart = findings([
            member("a", isSelf: true), member("b", fingerprint: "f", isConnected: false),
            member("c", fingerprint: "g", status: "dead"),
        ])
        #expect(apart["members"]?.text == "no connection to b")
        #expect(apart["engines"]?.text.hasPrefix("2 different engines among 2 members") == true)
        #expect(findings([member("a", isSelf: true)])["members"]?.state == .warning)
    }

    @Test("who was found and does not answer is told, and that a firewall may be why")
    func firewall() {
        let alone = findings([member("a", isSelf: true)])
        #expect(alone["firewall"] == nil)
        #expect(alone["members"]?.next?.contains("firewalls") == true)
        let both = [member("a", isSelf: true), member("b")]
        #expect(findings(both)["firewall"]?.state == .good)
        let blocked = findings(both, unanswered: ["192.0.2.7:8701", "192.0.2.8:8701"])["firewall"]
        #expect(blocked?.state == .warning)
        #expect(
            blocked?.text
                == "found 192.0.2.7:8701, 192.0.2.8:8701, and no connection comes about")
        #expect(blocked?.next?.contains("that of [::1]:8701") == true)
    }

    @Test("an agent of another version than this program is told")
    func version() {
        #expect(findings([], release: Version.current)["versions"]?.state == .good)
        #expect(findings([], release: "0.0.9")["versions"]?.state == .warning)
    }

    @Test("limits of the API that were reached are told, and that none was")
    func limits() {
        #expect(findings([])["limits"] == nil)
        let none: [String: UInt64] = ["apiLimit:connections": 0, "slicesSent": 5]
        #expect(findings([], counters: none)["limits"]?.state == .good)
        let reached: [String: UInt64] = ["apiLimit:connections": 2, "apiLimit:head_time": 0]
        let finding = findings([], counters: reached)["limits"]
        #expect(finding?.state == .warning)
        #expect(finding?.text == "the API reached connections 2 times")
    }

    @Test("peers with other releases are told")
    func releases() {
        var own = peer("a", ahead: nil)
        own.isSelf = true
        own.isConnected = false
        #expect(findings([own])["releases"] == nil)
        #expect(findings([own, peer("b"), peer("c")])["releases"]?.state == .good)
        let mixed = findings([
            own, peer("b"), peer("c", release: "0.2.0", version: 4),
            peer("d", release: nil, version: 2),
        ])["releases"]
        #expect(mixed?.state == .warning)
        #expect(
            mixed?.text == "c has 0.2.0 (protocol 4), d has an older release (protocol 2), "
                + "this agent has 0.1.0 (protocol 3)")
    }

    @Test("peers whose clocks are off by more than can be an error of measurement are told")
    func clocks() {
        func finding(_ peers: MemberDocument...) -> DoctorFinding? { findings(peers)["clocks"] }
        #expect(finding(peer("b", ahead: nil)) == nil)
        let fine = finding(peer("b", ahead: 1_200), peer("c", ahead: -990_000))
        #expect(fine?.state == .good)
        #expect(
            fine?.text == "2 compared; the farthest is c's, 990 ms behind (within 0.50 ms)")
        #expect(finding(peer("b", ahead: 1_000_501))?.state == .warning)
        #expect(finding(peer("b", ahead: 1_000_501, within: 2_000))?.state == .good)
        let wrong = finding(
            peer("b", ahead: -7_205_000_000), peer("c", ahead: 5), peer("d", ahead: .min))
        #expect(wrong?.state == .warning)
        #expect(wrong?.text.contains("that of b is 2 h 0 min behind (within 0.50 ms)") == true)
        #expect(wrong?.text.contains("that of c") == false)
    }

    @Test("a quota that is nearly full is told")
    func quota() {
        func state(_ used: Double) -> DoctorFinding.State? {
            findings(
                [], metrics: ["tessera_disk_used_bytes": used, "tessera_disk_quota_bytes": 100])[
                    "quota"]?.state
        }
        #expect(state(90) == .good)
        #expect(state(91) == .warning)
        #expect(findings([])["quota"] == nil)
    }

    @Test("health lines of the agent are findings")
    func health() {
        #expect(findings([], health: ["mDNS: no daemon"])["health"]?.text == "mDNS: no daemon")
    }

    @Test("metrics without labels are read")
    func metrics() {
        let text = "# HELP a b\n# TYPE a gauge\na 5\nb{x=\"y\"} 6\nc 1.5\nd\n"
        #expect(DoctorMesh.plain(text) == ["a": 5, "c": 1.5])
    }

    @Test("a clock that was never set is a warning")
    func clock() throws {
        #expect(try doctor().clock(5).state == .warning)
        #expect(try doctor().clock(1_800_000_000).state == .good)
    }

    @Test("a memory budget is compared with the machine and with what is available")
    func memory() throws {
        let doctor = try doctor()
        #expect(doctor.memory(budget: 5, machine: 10, available: 6).state == .good)
        #expect(doctor.memory(budget: 5, machine: 10, available: nil).state == .good)
        #expect(doctor.memory(budget: 5, machine: 10, available: 4).state == .warning)
        #expect(doctor.memory(budget: 11, machine: 10, available: 20).state == .failed)
    }

    @Test("the engine computes a model of one operator")
    func engine() throws {
        #expect(!(try TinyModel.run()).isEmpty)
    }
}
