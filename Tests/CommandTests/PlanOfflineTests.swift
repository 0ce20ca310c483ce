import ArgumentParser
import TesseraCore
import Testing

@testable import tessera

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct PlanOfflineTests {
    private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path
    private static let topologies = [
        "four-boards", "edgepipe-testbed", "wifi-boards", "home", "fast-and-slow",
    ]

    private static func profile(_ name: String) throws -> PlanSpace {
        try PlanProfile(path: "\(repository)/Topologies/profiles/\(name).json").space
    }

    private func document(
        _ source: PlanOffline.Source, goal: PlanGoal = PlanGoal(), modes: ModeSet = .all,
        baseline: PlanBaseline? = nil, front: Bool = false
    ) throws -> PlanOfflineDocument {
        let plan = try PlanOffline(
            source: source, goal: goal, modes: modes, baseline: baseline, wantsFront: front
        ).plan()
        return PlanOfflineView(plan, explains: true).document
    }

    private func message(_ body: () throws -> some Any) -> String {
        do {
            return "no error: \(try body())"
        } catch let failure as CommandFailure {
            return failure.message
        } catch {
            return "another error: \(error)"
        }
    }

    // MARK: Profiles

    @Test(
        "published profiles have their published optima",
        arguments: [
            ("pipeedge-vit-base-4-4", 1.54876), ("pipeedge-vit-base-16-at-20-mbps", 1.846875),
        ])
    func optimum(name: String, seconds: Double) throws {
        let plan = try document(.profile(Self.profile(name)), modes: .single)
        #expect(abs(plan.periodSeconds - seconds) < 1e-5)
        #expect(plan.isExact == true)
        #expect(plan.bound.periodSeconds <= plan.periodSeconds)
        #expect(plan.stages.allSatisfy { $0.mode == "single" && $0.nodes.count == 1 })
        #expect(plan.stages.first?.first == 0)
        #expect(plan.stages.last?.last == 47)
        for (one, next) in zip(plan.stages, plan.stages.dropFirst()) {
            #expect(next.first == one.last + 1)
        }
        let used = Set(plan.stages.flatMap(\.nodes))
        #expect(used.isDisjoint(with: plan.leftOut.map(\.node)))
        #expect(used.count == plan.stages.count)
    }

    @Test("replicas are no worse than a pipeline, and no plan is below its bound")
    func replicas() throws {
        let space = try Self.profile("pipeedge-vit-base-16-at-20-mbps")
        let pipeline = try document(.profile(space), modes: .single)
        let best = try document(.profile(space))
        #expect(best.periodSeconds <= pipeline.periodSeconds)
        #expect(best.periodSeconds >= best.bound.periodSeconds)
    }

    private static let chain = """
        {"input_bytes": 1000, "output_bytes": 10, "layers": [
          {"name": "a", "memory_bytes": 60, "output_bytes": 500, "seconds": {"t": 0.1}},
          {"name": "b", "memory_bytes": 70, "output_bytes": 10, "seconds": {"t": 0.2}}],
         "nodes": [{"name": "n", "type": "t", "memory_bytes": 100, "count": 2}],
         "links": {"default": {"bits_per_second": 8000, "latency_seconds": 0.5}, "pairs": []},
         "entry": "n-1", "fixed_memory_bytes": 5}
        """

    private func profile(_ text: String) throws -> PlanProfile {
        try PlanProfile(DocumentField.document(text, file: "chain.json"))
    }

    @Test("the JSON document has the documented keys and figures")
    func keys() throws {
        let plan = try document(.profile(profile(Self.chain).space), front: true)
        let text = try JSONText.pretty(plan)
        let object = try JSONDecoder().decode([String: Anything].self, from: Data(text.utf8))
        #expect(
            object.keys.sorted() == [
                "bottleneck", "bound", "exact", "latency_seconds", "left_out", "mode", "objective",
                "pareto", "pareto_exact", "period_seconds", "stages", "used", "version",
            ])
        #expect(plan.version == 1)
        #expect(plan.objective == "throughput")
        // Together they need 135 bytes, so each has a layer; 500 bytes take half a second.
        #expect(plan.stages.map(\.nodes) == [["n-1"], ["n-2"]])
        #expect(plan.stages.map(\.seconds) == [0.1, 0.2])
        #expect(plan.stages.map(\.linkSeconds) == [0, 0.5])
        #expect(plan.stages.map(\.memoryBytes) == [65, 75])
        #expect(plan.stages.map(\.operators) == [["a", "a"], ["b", "b"]])
        #expect(plan.periodSeconds == 0.5)
        // There and back: twice the latency, 500 and 10 bytes.
        #expect(abs(plan.latencySeconds - 1.81) < 1e-9)
        #expect(plan.leftOut.isEmpty)
        #expect(plan.used?.map(\.node) == ["n-1", "n-2"])
    }

    @Test(
        "a wrong profile is refused with its line and field",
        arguments: [
            ("\"t\": 0.2", "\"u\": 0.2", "line 3", "layers[1].seconds", "type 't' is missing"),
            ("\"t\": 0.2", "\"t\": -0.2", "line 3", "layers[1].seconds.t", "number of seconds"),
            ("\"t\": 0.2", "\"t\": 999.95", "line 3", "layers[1]", "more than 1000 seconds"),
            ("1000", "\"1000\"", "line 1", "input_bytes", "whole number of bytes"),
            ("\"entry\": \"n-1\"", "\"entry\": \"m\"", "line 6", "entry", "no node is called 'm'"),
            ("\"count\": 2", "\"count\": 65", "line 4", "nodes[0].count", "from 1 to 64"),
            ("\"layers\"", "\"layer\"", "line 1", "layer", "not known"),
            ("\"output_bytes\": 500, ", "", "line 2", "layers[0]", "'output_bytes' is missing"),
            ("5}", "5", "line", "", "chain.json"),
        ] as [(String, String, String, String, String)])
    func wrongProfile(
        part: String, other: String, line: String, field: String, reason: String
    ) {
        let text = Self.chain.replacing(part, with: other, maxReplacements: 1)
        let message = message { try profile(text) }
        #expect(message.hasPrefix("chain.json, line "), "\(message)")
        #expect(message.contains(line), "\(message)")
        #expect(message.contains(field), "\(message)")
        #expect(message.contains(reason), "\(message)")
    }

    @Test("what cannot be planned is an error that names the limit")
    func impossible() throws {
        let space = try profile(Self.chain).space
        let tooSlow = message {
            try document(.profile(space), goal: PlanGoal(latencyNanosecondsMax: 1_000_000))
        }
        #expect(tooSlow.contains("a latency of at most 1000 µs"), "\(tooSlow)")
        let tooLittle = message {
            try document(.profile(space), goal: PlanGoal(memoryHeadroomPercent: 30))
        }
        #expect(tooLittle.contains("75 bytes of memory"), "\(tooLittle)")
        let unknown = message {
            try document(.profile(space), goal: PlanGoal(objective: .energy))
        }
        #expect(unknown.contains("what node n-1 draws is not known"), "\(unknown)")
        let rows = message { try document(.profile(space), baseline: .modnnLike) }
        #expect(rows.contains("nothing here can be split by rows"), "\(rows)")
        let local = message { try document(.profile(space), baseline: .local) }
        #expect(local.contains("does not fit into their memory"), "\(local)")
    }

    // MARK: Models

    @Test("a model has a plan over every topology, within its bound, and twice the same")
    func topologies() async throws {
        let outline = try await PlanOfflineOptions.outline(
            of: ModelFile(
                path: Self.repository + "/Tools/models/digits/digits-cnn.onnx", shapes: []), nil
        ).outline
        for name in Self.topologies {
            let topology = try Topology(path: "\(Self.repository)/Topologies/\(name).yaml")
            // The sums of latency and energy over sixteen nodes are for a release build.
            let objectives =
                topology.nodes.count > 8 ? [.throughput] : PlanGoal.Objective.allCases
            for objective in objectives {
                func plan() throws -> PlanOfflineDocument {
                    let spaces = topology.spaces(of: outline, modes: .all, baseline: nil)
                    return try document(
                        .model(outline, spaces), goal: PlanGoal(objective: objective))
                }
                let one = try plan()
                #expect(try JSONText.compact(one) == JSONText.compact(plan()))
                #expect(one.periodSeconds >= one.bound.periodSeconds, "\(name)")
                #expect(one.latencySeconds >= one.bound.latencySeconds, "\(name)")
                #expect(one.stages.last?.last == outline.operators.count - 1)
                #expect((one.energyJoules ?? 0) > 0)
            }
        }
    }

    @Test("the best plan is no worse than any baseline, on every topology")
    func baselines() async throws {
        let outline = try await PlanOfflineOptions.outline(
            of: ModelFile(
                path: Self.repository + "/Tools/models/digits/digits-cnn.onnx", shapes: []), nil
        ).outline
        for name in Self.topologies {
            let topology = try Topology(path: "\(Self.repository)/Topologies/\(name).yaml")
            let best = try document(
                .model(outline, topology.spaces(of: outline, modes: .all, baseline: nil)))
            for baseline in PlanBaseline.allCases {
                let spaces = topology.spaces(of: outline, modes: .all, baseline: baseline)
                let offline = PlanOffline(
                    source: .model(outline, spaces), goal: PlanGoal(), modes: .all,
                    baseline: baseline, wantsFront: false)
                // A baseline that has no plan here has nothing to compare with.
                guard let plan = try? offline.plan() else { continue }
                let seconds = Double(plan.sketch.periodNanoseconds) / 1e9
                #expect(best.periodSeconds <= seconds, "\(baseline.rawValue) on \(name)")
            }
        }
    }

    // MARK: Text

    @Test("nodes that count on are shown as a span")
    func spans() {
        let names = PlanOfflineView.names
        #expect(names(["x-1", "x-2", "x-3", "y", "y-1"]) == "x-1…x-3, y, y-1")
        #expect(names(["x-1", "x-2", "x-4", "y-5"]) == "x-1, x-2, x-4, y-5")
        #expect(names([]) == "")
    }

    // MARK: Arguments

    @Test(
        "wrong combinations of arguments are refused",
        arguments: [
            [], ["m", "--profile", "p"], ["--model", "f"], ["--topology", "t"],
            ["--profile", "p", "--topology", "t"], ["m", "--objective", "latency"],
            ["m", "--pareto"], ["--profile", "p", "--objective", "speed"],
            ["--profile", "p", "--max-latency", "80"], ["--profile", "p", "--max-latency", "-1ms"],
            ["--profile", "p", "--memory-headroom", "96%"], ["--profile", "p", "--mode", "worst"],
            ["--profile", "p", "--allow", "single,columns"], ["--profile", "p", "--allow", ""],
            ["--profile", "p", "--pareto", "--mode", "even"], ["--profile", "p", "--shape", "x=1"],
        ])
    func arguments(list: [String]) {
        #expect(throws: (any Error).self) { try PlanCommand.parse(list) }
    }

    @Test("limits have units")
    func limits() throws {
        let command = try PlanCommand.parse([
            "--profile", "p", "--objective", "latency", "--max-latency", "80ms", "--max-period",
            "1.5s", "--max-energy", "300mJ", "--memory-headroom", "20%", "--allow", "replicas",
        ])
        #expect(
            command.offline.goal
                == PlanGoal(
                    objective: .latency, periodNanosecondsMax: 1_500_000_000,
                    latencyNanosecondsMax: 80_000_000, nanojoulesMax: 300_000_000,
                    memoryHeadroomPercent: 20))
        #expect(command.offline.planning.allow == [.single, .replicas])
        #expect(try PlanCommand.parse(["digits", "--json"]).model == "digits")
    }
}

/// Any JSON value: only the keys around it are looked at.
private struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
}
