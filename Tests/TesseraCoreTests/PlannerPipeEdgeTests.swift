import Testing

@testable import TesseraCore

@Suite struct PlannerPipeEdgeTests {
    /// A published profile with the optimal period per microbatch that an independent solver found.
    struct Case: CustomTestStringConvertible {
        var model: PipeEdgeFigures.Model
        var name: String
        var minnowboards: Int
        var rccs: Int
        var megabitsPerSecond: Int
        var optimumSeconds: Double

        var testDescription: String {
            "\(name), \(minnowboards) and \(rccs) boards, \(megabitsPerSecond) Mbit/s"
        }

        var space: PlanSpace {
            let layers = model.memoryBytes.indices.map { index in
                ChainProfile.Layer(
                    name: "layer-\(index)", memoryBytes: model.memoryBytes[index],
                    outputBytes: model.outputBytes[index],
                    nanoseconds: [
                        model.minnowboardNanoseconds[index], model.rccNanoseconds[index],
                    ])
            }
            let nodes =
                (0..<minnowboards).map {
                    ChainProfile.Node(name: "minnowboard-\($0)", type: 0, memoryBytes: 2 << 30)
                }
                + (0..<rccs).map {
                    ChainProfile.Node(name: "rcc-\($0)", type: 1, memoryBytes: 8 << 30)
                }
            let link = PlanSpace.Link(
                bitsPerSecond: megabitsPerSecond << 20, latencyNanoseconds: 0)
            return ChainProfile(
                inputBytes: PipeEdgeFigures.inputBytes,
                outputBytes: model.outputBytes.last ?? 0, layers: layers, nodes: nodes,
                links: Array(repeating: link, count: nodes.count * nodes.count), entry: nil,
                fixedMemoryBytes: 0
            ).space()
        }
    }

    static let cases = [
        base(4, 4, 1_000, 1.54876), base(2, 2, 1_000, 2.936569), base(8, 8, 1_000, 0.800788),
        base(16, 0, 1_000, 0.996178), base(16, 0, 20, 1.846875), base(16, 0, 5, 7.3875),
        large(4, 4, 1_000, 5.042833), large(2, 2, 1_000, 9.962454), large(8, 8, 1_000, 2.57322),
        large(16, 0, 1_000, 3.000874), large(16, 0, 20, 3.000874), large(16, 0, 5, 9.85),
    ]

    private static func base(_ minnow: Int, _ rcc: Int, _ rate: Int, _ optimum: Double) -> Case {
        Case(
            model: PipeEdgeFigures.base, name: "ViT-Base", minnowboards: minnow, rccs: rcc,
            megabitsPerSecond: rate, optimumSeconds: optimum)
    }

    private static func large(_ minnow: Int, _ rcc: Int, _ rate: Int, _ optimum: Double) -> Case {
        Case(
            model: PipeEdgeFigures.large, name: "ViT-Large", minnowboards: minnow, rccs: rcc,
            megabitsPerSecond: rate, optimumSeconds: optimum)
    }

    @Test("the published profiles have their known optimal periods", arguments: cases)
    func optimum(_ one: Case) throws {
        let search = PlanSearch(one.space, modes: .single)
        let result = search.best()
        guard case .found(let sketch, let isExact) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(isExact)
        let seconds = Double(sketch.periodNanoseconds) / 1e9
        #expect(abs(seconds - one.optimumSeconds) < 1e-6, "\(seconds)")
        #expect(search.bound.nanoseconds <= sketch.periodNanoseconds)
        #expect(search.baseline(.pipeedgeLike)?.periodNanoseconds == sketch.periodNanoseconds)
    }

    @Test("with replicas ViT-Base at 20 Mbit/s runs at twice the rate of the best pipeline")
    func replicas() throws {
        let space = Self.cases[4].space
        let pipeline = try #require(PlanSearch(space, modes: .single).best().sketch)
        let mixed = PlanSearch(space, modes: [.single, .replicas]).best()
        guard case .found(let sketch, let isExact) = mixed else {
            Issue.record("\(mixed)")
            return
        }
        #expect(isExact)
        #expect(sketch.periodNanoseconds * 2 < pipeline.periodNanoseconds)
    }
}
