import TesseraAPI
import TesseraCore

/// The alternates of a plan as people read them: what is armed, what keeps the others from it, and
/// how long it takes to arm each anew.
struct AlternateView {
    let snapshot: MeshSnapshot
    let model: MeshSnapshot.Model
    let outline: ModelOutline
    let bundle: PlanBundle
    /// How long fragments took to be compiled on this node.
    let compileMicroseconds: [FragmentKey: Int64]

    /// What is left to do until a node holds its part of an alternate.
    private struct Part {
        var host: NodeBoot
        var missingBytes: Int
        /// Nil while nothing was measured that it could be told from.
        var microseconds: Int64?
    }

    /// For each node that the plan uses, ascending by name.
    var documents: [AlternateDocument] {
        bundle.primary.plan.hosts.map { lost in
            bundle.alternates.first { $0.plan.without == lost }.map { document($0, lost) }
                ?? AlternateDocument(
                    plan: nil, without: name(lost.node), isArmed: false, waitsFor: [],
                    changes: [],
                    reason: "no other nodes have the memory for its part, or there are none",
                    fetchBytes: 0, rearmMicroseconds: nil)
        }.sorted { $0.without < $1.without }
    }

    private func name(_ id: NodeID) -> String {
        snapshot.members.last { $0.member.node == id }?.record?.name ?? id.short
    }

    private func record(_ host: NodeBoot) -> NodeRecord? {
        snapshot.members.first { $0.member == host }?.record
    }

    private func document(_ alternate: NamedPlan, _ lost: NodeBoot) -> AlternateDocument {
        let isArmed = model.armed.contains(alternate.id)
        let waitsFor = alternate.plan.hosts.filter { host in
            !(record(host)?.plans ?? []).contains { $0.ready.contains(alternate.id) }
        }
        let held = bundle.primary.plan.fragments
        let moved = alternate.plan.fragments.indices.filter {
            !held.contains(alternate.plan.fragments[$0])
        }
        let parts = parts(alternate.plan, moved)
        let reasons = isArmed ? [] : waitsFor.map { reason($0, alternate, parts) }
        return AlternateDocument(
            plan: alternate.id.hexadecimal, without: name(lost.node), isArmed: isArmed,
            waitsFor: isArmed ? [] : waitsFor.map { name($0.node) },
            changes: moved.map { words(alternate.plan.fragments[$0]) },
            reason: reasons.isEmpty ? nil : reasons.joined(separator: "; "),
            fetchBytes: parts.reduce(0) { $0 + $1.missingBytes },
            // Nodes arm beside each other; what one of them does, it does in turn.
            rearmMicroseconds: parts.contains { $0.microseconds == nil }
                ? nil : parts.compactMap(\.microseconds).max() ?? 0)
    }

    private func words(_ fragment: Fragment) -> String {
        let range = fragment.operators
        let rows = fragment.rows.map { ", rows \($0.lowerBound)-\($0.upperBound - 1)" } ?? ""
        return "\(name(fragment.host.node)) takes \(range.lowerBound)-\(range.upperBound - 1)"
            + rows
    }

    private func reason(_ host: NodeBoot, _ alternate: NamedPlan, _ parts: [Part]) -> String {
        let name = name(host.node)
        guard let member = snapshot.members.first(where: { $0.member == host }),
            member.status == .alive || member.status == .suspect
        else { return "\(name) is lost" }
        if !member.isConnected { return "there is no connection to \(name)" }
        if let missing = parts.first(where: { $0.host == host })?.missingBytes, missing > 0 {
            return "\(name) fetches \(Figures.bytes(missing))"
        }
        let (needed, free) = memory(host, alternate.plan)
        if needed > free {
            return "\(name) has no room: it needs \(Figures.bytes(needed)), "
                + "\(Figures.bytes(max(0, free))) are free"
        }
        return "\(name) is making it ready"
    }

    /// What an alternate's own fragments take on a host, and what this model's plan and its armed
    /// alternates leave of its budget.
    private func memory(_ host: NodeBoot, _ plan: Plan) -> (needed: Int, free: Int) {
        let armed = bundle.alternates.filter { model.armed.contains($0.id) }.map(\.plan)
        var held: [FragmentKey: Int] = [:]
        for used in [bundle.primary.plan] + armed {
            for fragment in used.fragments.indices where used.fragments[fragment].host == host {
                held[used.key(ofFragment: fragment)] = bytes(used, fragment)
            }
        }
        let new = plan.fragments.indices.filter {
            plan.fragments[$0].host == host && held[plan.key(ofFragment: $0)] == nil
        }
        let budget = record(host)?.capability?.memoryBytes ?? 0
        return (new.reduce(0) { $0 + bytes(plan, $1) }, budget - held.values.reduce(0, +))
    }

    private func bytes(_ plan: Plan, _ fragment: Int) -> Int {
        FragmentMemory.of(
            plan.fragments[fragment].operators, rows: plan.fragments[fragment].rows, in: outline
        ).bytes(window: plan.window)
    }

    // MARK: Time

    /// By node: what it lacks of the weights of its new fragments, and how long it takes to fetch
    /// and compile them.
    private func parts(_ plan: Plan, _ moved: [Int]) -> [Part] {
        var hosts: [NodeBoot] = []
        for index in moved where !hosts.contains(plan.fragments[index].host) {
            hosts.append(plan.fragments[index].host)
        }
        return hosts.map { host in
            let fragments = moved.filter { plan.fragments[$0].host == host }
            let missing = missingBytes(host, fragments.map { plan.fragments[$0].operators })
            let compiling = fragments.map { compileTime(plan.key(ofFragment: $0), on: host) }
            var total: Int64? =
                compiling.contains(nil) ? nil : compiling.reduce(0) { $0 + ($1 ?? 0) }
            if missing > 0 {
                let rate = bytesPerSecond(to: host)
                total = rate == 0 ? nil : total.map { $0 + Int64(missing) * 1_000_000 / rate }
            }
            return Part(host: host, missingBytes: missing, microseconds: total)
        }
    }

    private func missingBytes(_ host: NodeBoot, _ ranges: [Range<Int>]) -> Int {
        let holding = record(host)?.holdings.first { $0.manifest == model.manifest }
        let blobs = Set(ranges.flatMap { outline.blobs(of: $0) })
        return blobs.filter { holding?.contains($0) != true }
            .reduce(0) { $0 + outline.blobs[$1].byteCount }
    }

    /// The rate of the best measured link from a node that has the model's manifest.
    private func bytesPerSecond(to host: NodeBoot) -> Int64 {
        let holders = snapshot.members.filter { member in
            member.member != host && member.isConnected
                && member.record?.holdings.contains { $0.manifest == model.manifest } == true
        }
        let rates = holders.flatMap { $0.record?.links ?? [] }
            .filter { $0.peer == host.node }.map(\.bytesPerSecond)
        return Int64(clamping: rates.max() ?? 0)
    }

    /// As measured here, for this fragment or by the weights of others; by the speed of the node
    /// where that is another one.
    private func compileTime(_ key: FragmentKey, on host: NodeBoot) -> Int64? {
        guard !compileMicroseconds.isEmpty else { return nil }
        func weight(_ key: FragmentKey) -> Int64 {
            Int64(FragmentMemory.of(key.operators, in: outline).weightBytes + 1)
        }
        let known = compileMicroseconds.filter { $0.key.manifest == model.manifest }
        let here: Int64
        if let exact = known[key] {
            here = exact
        } else if known.isEmpty {
            return nil
        } else {
            let (time, bytes) = known.reduce((Int64(0), Int64(0))) {
                ($0.0 + $1.value, $0.1 + weight($1.key))
            }
            here = time * weight(key) / bytes
        }
        let mine = snapshot.own.capability?.operationsPerMicrosecond ?? 0
        let theirs = record(host)?.capability?.operationsPerMicrosecond ?? 0
        guard mine > 0, theirs > 0 else { return here }
        return here * Int64(clamping: mine) / Int64(clamping: theirs)
    }
}
