import TesseraCore

// Knobs and faults from a seed.

extension Scenario {
    /// How long a drawn run's faults go on, and how much is asked.
    public enum Length: Sendable {
        /// For tests without optimisation: faults for 3 s, small meshes and models, short rests.
        case short
        /// Faults for 12 s.
        case full
    }

    /// A run whose every knob is drawn from the seed, zero included, so that each run has another
    /// mix of faults (swarm testing).
    ///
    /// With a described mesh, its devices and links are taken, and the knobs about them are not drawn.
    public static func drawn(
        seed: UInt64, mesh described: SimulatedMesh? = nil, length: Length = .full
    ) -> Scenario {
        let generator = SeededGenerator(seed: seed)
        var knobs = generator.derived(name: "knobs")
        let isShort = length == .short
        let nodes = described?.devices.count ?? 2 + knobs.next(below: isShort ? 3 : 5)
        var scenario = quiet(seed: seed, nodes: nodes)
        if let described {
            scenario.mesh = described
            scenario.parts = .init(repeating: 0, count: nodes)
        } else {
            scenario.mesh = drawMesh(&knobs, count: nodes + 2)
        }
        scenario.drawNetwork(&knobs)
        scenario.drawWork(&knobs, isShort: isShort)
        scenario.drawModels(
            &knobs, isTight: described == nil && knobs.chance(1, outOf: 3), isShort: isShort)
        if isShort { scenario.watch = .seconds(1) }
        scenario.healAt = .zero + (isShort ? .seconds(5) : .seconds(15))
        if nodes > 2, knobs.chance(1, outOf: 8) {
            scenario.parts = scenario.parts.map { _ in knobs.next(below: 2) }
        }
        var links = generator.derived(name: "links")
        scenario.network.measuresLinks = links.chance(1, outOf: 2)
        var faults = FaultDraw(
            scenario, generator.derived(name: "faults"), mostFaults: isShort ? 5 : 9)
        scenario.faults = faults.draw()
        var split = generator.derived(name: "split")
        if nodes > 1, split.chance(1, outOf: 12) { scenario.drawOneSplit(&split, isShort: isShort) }
        return scenario
    }

    /// Nothing but a split: long enough for each part to have its own plan, and healed at the end.
    private mutating func drawOneSplit(_ knobs: inout SeededGenerator, isShort: Bool) {
        network.lossPerMille = 0
        network.tailPerMille = 0
        network.corruptPerMille = 0
        parts = parts.map { _ in 0 }
        let start = Timestamp.zero + .seconds(4)
        healAt = .zero + .seconds(isShort ? 10 : 15)
        let mask = UInt64(1 + knobs.next(below: (1 << min(nodes, 20)) - 2))
        faults = [TimedFault(at: start, fault: .split(mask, healAt - start))]
    }

    private static func drawMesh(_ knobs: inout SeededGenerator, count: Int) -> SimulatedMesh {
        // Half of the meshes are equal devices on equal links: ties are a case of their own.
        let isEqual = knobs.chance(1, outOf: 2)
        let rates = [20, 100, 300, 1_000]
        let rate = rates[knobs.next(below: rates.count)]
        let latency = TimeSpan.microseconds(Int64(30 + knobs.next(below: 3_000)))
        let speed = 200 + knobs.next(below: 2_000)
        let devices = (0..<count).map { index in
            let own = isEqual ? speed : 200 + knobs.next(below: 2_000)
            return SimulatedMesh.Device(
                name: "node-\(index)", operationsPerMicrosecond: UInt64(own),
                movedBytesPerMicrosecond: 10_000, memoryBytes: Scenario.ampleMemoryBytes)
        }
        let links = (0..<count * count).map { _ in
            let own = isEqual ? rate : max(rate / (1 + knobs.next(below: 4)), 10)
            return SimulatedMesh.Link(bitsPerSecond: own * 1_000_000, latency: latency)
        }
        return SimulatedMesh(
            devices: devices, links: links,
            mediumBitsPerSecond: knobs.chance(1, outOf: 8) ? 50_000_000 : nil)
    }

    private mutating func drawNetwork(_ knobs: inout SeededGenerator) {
        func often(_ most: Int) -> Int {
            knobs.chance(1, outOf: 2) ? 0 : knobs.next(below: most)
        }
        network.lossPerMille = often(150)
        network.duplicatePerMille = often(50)
        network.tailPerMille = often(50)
        network.tailMean = .milliseconds(Int64(5 + knobs.next(below: 100)))
        network.jitter = .microseconds(Int64(50 + knobs.next(below: 10_000)))
        network.corruptPerMille = often(10)
        discovery.missingPerMille = often(300)
        discovery.duplicatePerMille = often(300)
    }

    private mutating func drawWork(_ knobs: inout SeededGenerator, isShort: Bool) {
        let slowest = knobs.chance(1, outOf: 4) ? 2_000 : 400
        engine.compileMost = .milliseconds(Int64(30 + knobs.next(below: slowest)))
        engine.planningMost = .milliseconds(Int64(2 + knobs.next(below: 100)))
        engine.noisePercent = knobs.chance(1, outOf: 2) ? 0 : knobs.next(below: 40)
        workload.period = .milliseconds(Int64(20 + knobs.next(below: isShort ? 200 : 100)))
        workload.requests = isShort ? 10 + knobs.next(below: 30) : 60 + knobs.next(below: 140)
    }

    /// Models whose work suits the devices and whose constants suit the links.
    private mutating func drawModels(
        _ knobs: inout SeededGenerator, isTight: Bool, isShort: Bool
    ) {
        let speeds = mesh.devices.map(\.operationsPerMicrosecond).sorted()
        let middle = speeds[speeds.count / 2]
        models = (0..<2).map { index in
            var branches = SeededGenerator(seed: seed).derived(name: "branches \(index)")
            let operators =
                index == 0 ? 3 + knobs.next(below: isShort ? 6 : 30) : 3 + knobs.next(below: 8)
            // All constants pass the slowest link within half a second.
            let blobBytesMax = mesh.slowestBitsPerSecond / 8 / operators
            var model = Model(
                operators: operators, blobBytesMax: min(max(blobBytesMax, 1_000), 2_000_000),
                operationsMax: middle * UInt64(200 + knobs.next(below: 3_000)),
                modes: knobs.chance(1, outOf: isShort ? 32 : 4) ? [.single, .replicas] : .single)
            if branches.chance(1, outOf: isShort ? 16 : 8) { model.modes = [.single, .branches] }
            return model
        }
        guard isTight else { return }
        // No device can hold the whole model, at times not even both models in parts.
        let outline = SimulatedModel(models[0], number: 0, seed: seed).outline
        let whole = FragmentMemory.of(0..<outline.operators.count, in: outline)
        let percent = 55 + knobs.next(below: 40)
        let bytes = whole.bytes(window: 4) / 100 * percent + (1 << 20)
        for index in mesh.devices.indices { mesh.devices[index].memoryBytes = bytes }
    }
}
