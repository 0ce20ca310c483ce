import Testing

@testable import TesseraCore

@Suite struct PlannerCodecTests {
    private func allowance(
        _ tensors: Range<Int>, lossless: Int, _ allowed: [Codec]
    ) -> CodecAllowance {
        CodecAllowance(
            measure: .topClass, maxDropPerMillion: 5_000, dropPerMillion: 100, itemCount: 10,
            tensors: tensors.map { tensor in
                CodecAllowance.Tensor(
                    tensor: tensor, losslessPerMille: lossless,
                    tried: [Codec.float16, .bfloat16, .int8].map {
                        CodecAllowance.Trial(
                            codec: $0, dropPerMillion: Int($0.rawValue),
                            isAllowed: allowed.contains($0))
                    })
            })
    }

    /// Four operators of 100 ms on each of two nodes, with cuts of 400 kB over a link of 10 Mbit/s.
    private func problem(_ codecs: CodecAllowance?) -> PlanningProblem {
        var outline = PlannerInstances.chain(operations: [
            100_000_000, 100_000_000, 100_000_000, 100_000_000,
        ])
        for index in outline.tensors.indices { outline.tensors[index].descriptor.shape = [100_000] }
        let nodes = (0..<2).map { PlannerInstances.node($0, rate: 1_000, memory: 1 << 40) }
        let links = [(0, 1), (1, 0)].map { source, destination in
            PlanningProblem.Link(
                source: PlannerInstances.member(source).node,
                destination: PlannerInstances.member(destination).node,
                bytesPerSecond: 1_250_000, latencyMicroseconds: 500)
        }
        var problem = PlannerInstances.problem(outline, nodes: nodes, links: links)
        problem.codecs = codecs
        return problem
    }

    @Test("a cut that a slow link forbids is made where packing is allowed")
    func cuts() throws {
        let plain = try #require(PlannerInstances.bundle(problem(nil))).bundle.primary.plan
        // 320 ms for a cut tensor: little less than all 400 ms on one node.
        #expect(plain.predictedPeriodMicroseconds >= 319_000)
        let codecs = allowance(0..<5, lossless: 900, [.int8])
        let packed = try #require(PlannerInstances.bundle(problem(codecs))).bundle.primary.plan
        #expect(packed.hosts.count == 2)
        #expect(packed.predictedPeriodMicroseconds < 220_000)
        let evaluation = try #require(PlanEvaluation.evaluate(packed, problem(codecs)))
        #expect(evaluation.packing.map(\.codec) == [.int8])
        #expect(evaluation.packing.map(\.perMille) == [270])
        let bound = try #require(PlanBound.of(problem(codecs)))
        #expect(bound.periodMicroseconds <= packed.predictedPeriodMicroseconds)
    }

    @Test("a link that does not bind is not packed, and one that does takes what changes least")
    func least() throws {
        var quick = problem(allowance(0..<5, lossless: 990, [.float16, .int8]))
        for index in quick.links.indices { quick.links[index].bytesPerSecond = 125_000_000 }
        let plan = try #require(PlannerInstances.bundle(quick)).bundle.primary.plan
        #expect(plan.hosts.count == 2)
        #expect(try #require(PlanEvaluation.evaluate(plan, quick)).packing.isEmpty)
        // 160 ms as it is and 80 ms in 16 bits, where two operators take 200 ms.
        for index in quick.links.indices { quick.links[index].bytesPerSecond = 2_400_000 }
        #expect(
            try #require(PlanEvaluation.evaluate(plan, quick)).packing.map(\.codec) == [.float16])
    }

    @Test("what comes in for a second node is counted packed where one item is sooner there")
    func wayIn() throws {
        let codecs = allowance(0..<5, lossless: 900, [.int8])
        var plan = try #require(PlannerInstances.bundle(problem(codecs))).bundle.primary.plan
        func latency(_ codecs: CodecAllowance?) throws -> Int64 {
            var problem = problem(codecs)
            problem.goal.objective = .latency
            // The second node reads the input too: 1.6 MB, 1,280 ms on the link as it is.
            problem.outline.tensors[0].descriptor.shape = [400_000]
            problem.outline.tensors[0].consumers = [0, plan.fragments[1].operators.lowerBound]
            plan.routes = Plan.routes(for: problem.outline, fragments: plan.fragments)
            return try #require(PlanEvaluation.evaluate(plan, problem)).latencyMicroseconds
        }
        #expect((1_480_000..<1_500_000).contains(try latency(nil)))
        #expect((1_352_000..<1_400_000).contains(try latency(allowance(0..<5, lossless: 900, []))))
        #expect((540_000..<600_000).contains(try latency(codecs)))
    }

    @Test("what was measured of packing never makes a plan worse, and the bound holds")
    func neverWorse() throws {
        for seed in 0..<40 {
            var problem = PlannerInstances.random(
                seed: UInt64(700_000 + seed), tightMemory: false, skips: true)
            for index in problem.links.indices { problem.links[index].bytesPerSecond /= 50 }
            let slow = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
            problem.codecs = allowance(
                0..<problem.outline.tensors.count, lossless: 300 + seed * 15, [.int8])
            let packed = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
            #expect(
                packed.predictedPeriodMicroseconds * 100
                    <= slow.predictedPeriodMicroseconds * 102 + 200, "seed \(seed)")
            let bound = try #require(PlanBound.of(problem))
            #expect(bound.periodMicroseconds <= packed.predictedPeriodMicroseconds, "seed \(seed)")
        }
    }

    @Test("an entry that lost settings on the way is completed, and no other one")
    func completed() {
        let manifest = ManifestID(1, 0, 0, 0)
        let codecs = allowance(0..<2, lossless: 500, [])
        let wishes = [
            ModelSettings(codecs: codecs), ModelSettings(keepInputLocal: 3),
            ModelSettings(allowedModes: .all), ModelSettings(allowedModes: .branches),
        ]
        for settings in wishes {
            let whole = CatalogueEntry(
                name: "digits", manifest: manifest, version: 3, author: NodeID(7, 0, 0, 0),
                settings: settings)
            var stripped = whole
            stripped.settings = settings.asVersion2PassesOn
            #expect(stripped != whole)
            var catalogue = Catalogue()
            _ = catalogue.merge(stripped, now: .zero)
            #expect(catalogue.merge(whole, now: .zero) == .changed(loser: nil))
            #expect(catalogue.settings(of: manifest) == settings)
            #expect(catalogue.merge(stripped, now: .zero) == .unchanged)
            #expect(catalogue.settings(of: manifest) == settings)
            var other = whole
            other.settings.goal.objective = .latency
            #expect(!other.completes(stripped))
        }
    }
}
