import TesseraAPI
import TesseraCore
import TesseraNode

/// Puts the mesh's reports into words, with the names that people know.
struct EventNames {
    private let nodes: [NodeID: String]
    private let models: [ManifestID: String]

    init(_ snapshot: MeshSnapshot) {
        var nodes: [NodeID: String] = [:]
        for member in snapshot.members {
            if let record = member.record { nodes[member.member.node] = record.name }
        }
        self.nodes = nodes
        models = Dictionary(
            snapshot.models.map { ($0.manifest, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    private func name(_ id: NodeID) -> String { nodes[id] ?? id.short }
    private func name(_ id: ManifestID) -> String { models[id] ?? id.short }

    func document(_ event: LoggedEvent) -> EventDocument {
        let words = words(event.report)
        return EventDocument(
            number: event.number, atMicroseconds: event.at.microseconds,
            kind: EventKind(event.report).rawValue, node: words.node, model: words.model,
            plan: words.plan, text: words.text, milliseconds: words.milliseconds)
    }

    private struct Words {
        var node: String?
        var model: String?
        var plan: String?
        var text: String
        var milliseconds: Double?
    }

    private func words(_ report: Report) -> Words {
        switch report {
        case .member(let member, let status, let reason):
            return Words(
                node: name(member.node), text: "\(name(member.node)) is \(status): \(reason)")
        case .named(let node, let name):
            return Words(node: name, text: "node \(node) is called \(name)")
        case .lossDetected(let member):
            return Words(
                node: name(member.node), text: "the connection to \(name(member.node)) is lost")
        case .lossTold(let member, let teller):
            return Words(
                node: name(member.node),
                text: "\(name(teller)) says that it cannot reach \(name(member.node))")
        case .redispatched(let lost, let count, let plan):
            return Words(
                node: name(lost.node), plan: plan.hexadecimal,
                text: "\(count) request of \(name(lost.node)) tried again under plan \(plan)")
        case .recovered(let lost, let span):
            return Words(
                node: name(lost.node),
                text: "answered a request that \(name(lost.node)) had taken along",
                milliseconds: Double(span.microseconds) / 1_000)
        case .late, .refused, .crashed:
            return faultWords(report)
        case .limit(let what, let count):
            return Words(text: "limit reached: \(what) (\(count))")
        case .codec(let manifest, let tensor, let peer, let old, let new, let reason):
            return Words(
                node: name(peer), model: name(manifest),
                text: "tensor \(tensor) goes to \(name(peer)) with codec \(new) instead of \(old): "
                    + reason)
        case .blob(let blob, let text):
            return Words(text: "blob \(blob): \(text)")
        case .catalogue(let entry, let loser):
            let verb = entry.manifest == nil ? "removed" : "named"
            let conflict = loser.map { $0.version == entry.version } ?? false
            return Words(
                model: entry.name,
                text: "model \(entry.name) \(verb) by \(name(entry.author))"
                    + (conflict ? ", in conflict with another entry, which lost" : ""))
        case .proposed, .staging, .decided, .armed, .roundFailed, .unplannable:
            return planWords(report)
        }
    }

    private func faultWords(_ report: Report) -> Words {
        switch report {
        case .late(let host, let span, let plan):
            return Words(
                node: name(host.node), plan: plan.hexadecimal,
                text: "\(name(host.node)) has run a fragment for \(span.milliseconds) ms, longer "
                    + "than its clock allows; tried elsewhere too, under plan \(plan)",
                milliseconds: Double(span.microseconds) / 1_000)
        case .refused(let manifest, let deaths):
            let names = deaths.map { name($0.node) }.joined(separator: " and ")
            return Words(
                model: name(manifest),
                text: "\(names) died while they executed one request for \(name(manifest)); its "
                    + "inputs are refused for a while")
        case .crashed(let mark):
            let end = mark.signal.map { "crashed by signal \($0)" } ?? "was ended from outside"
            let key: FragmentKey
            let work: String
            var reason = ""
            switch mark.work {
            case .compiling(let fragment): (key, work) = (fragment, "compiled")
            case .running(let fragment, let request):
                (key, work) = (fragment, "ran")
                reason = " for a request of \(name(request.entry.node))"
            }
            let range = "\(key.operators.lowerBound)-\(key.operators.upperBound - 1)"
            return Words(
                node: name(mark.member.node), model: name(key.manifest),
                text: "the last run of \(name(mark.member.node)) \(end) while it \(work) operators "
                    + "\(range) of \(name(key.manifest))\(reason)")
        default:
            return Words(text: "\(report)")
        }
    }

    private func planWords(_ report: Report) -> Words {
        switch report {
        case .proposed(let manifest, let ballot, let reason):
            Words(
                node: name(ballot.proposer.node), model: name(manifest),
                text: "\(name(ballot.proposer.node)) proposes a plan for \(name(manifest)): "
                    + reason)
        case .staging(let manifest, let plan):
            Words(
                model: name(manifest), plan: plan.hexadecimal,
                text: "plan \(plan) for \(name(manifest)) is being staged")
        case .decided(let manifest, let id, let plan):
            Words(
                model: name(manifest), plan: id.hexadecimal,
                text: "plan \(id) for \(name(manifest)) decided: "
                    + plan.fragments.map { fragment in
                        "\(name(fragment.host.node)) \(fragment.operators.lowerBound)-"
                            + "\(fragment.operators.upperBound - 1)"
                    }.joined(separator: ", "))
        case .armed(let manifest, let plan, let without, let isArmed):
            Words(
                node: name(without.node), model: name(manifest), plan: plan.hexadecimal,
                text: "the alternate of \(name(manifest)) without \(name(without.node)) is "
                    + (isArmed ? "ready" : "not ready any more"))
        case .roundFailed(let manifest, _, let reason):
            Words(
                model: name(manifest),
                text: "a proposal for \(name(manifest)) came to nothing: \(reason)")
        case .unplannable(let manifest, let reason):
            Words(
                model: name(manifest), text: "no plan for \(name(manifest)): \(reason)")
        default:
            Words(text: "\(report)")
        }
    }
}
