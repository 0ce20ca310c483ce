import TesseraCore

/// Draws the list of faults of a scenario: up front, so that it can be shrunk entry by entry.
struct FaultDraw {
    private let nodes: Int
    private let devices: Int
    private let start: Timestamp
    private let end: Timestamp
    private let count: Int
    private var generator: SeededGenerator

    init(_ scenario: Scenario, _ generator: SeededGenerator, mostFaults: Int) {
        nodes = scenario.nodes
        devices = scenario.mesh.devices.count
        end = scenario.healAt
        self.generator = generator
        count = self.generator.next(below: mostFaults)
        // In some runs the first decision is disturbed already.
        let isEarly = self.generator.chance(1, outOf: 4)
        start = .zero + .milliseconds(isEarly ? 1_100 : 2_500)
    }

    mutating func draw() -> [TimedFault] {
        var faults: [TimedFault] = []
        let span = end - start
        for _ in 0..<count {
            let at = start + generator.next(below: span)
            for (offset, fault) in one() where at + offset < end {
                faults.append(TimedFault(at: at + offset, fault: fault))
            }
        }
        // Stable: faults of one combination at one time stay in order.
        return faults.enumerated().sorted {
            ($0.element.at, $0.offset) < ($1.element.at, $1.offset)
        }
        .map(\.element)
    }

    /// One fault, or a combination that is known to break designs like this one.
    private mutating func one() -> [(TimeSpan, Fault)] {
        switch generator.next(below: 29) {
        case 0, 1: [(.zero, stop(.node(node), back: milliseconds(100, 5_000)))]
        // Gone and back before anybody's probe has failed, at times in the middle of a round.
        case 2:
            (generator.chance(1, outOf: 2) ? [] : [trigger()])
                + [(milliseconds(0, 300), stop(.node(node), back: milliseconds(5, 150)))]
        case 3: [(.zero, .stop(.node(node), .powerLoss, backAfter: nil, .whole))]
        case 4: [(.zero, .pause(.node(node), milliseconds(100, 6_000)))]
        // Lost, and back in the same boot.
        case 5: [(.zero, .isolate(.node(node), milliseconds(1_500, 5_000)))]
        // Decisions on both sides.
        case 6: [(.zero, split(milliseconds(2_000, 6_000)))]
        // Stopped and woken in the middle of a round.
        case 7: [trigger(), (.milliseconds(200), .pause(.proposer, milliseconds(300, 4_000)))]
        case 8: [trigger(), (.milliseconds(200), stop(.proposer, back: milliseconds(50, 3_000)))]
        case 9: [(.zero, stop(.entryAndGate, back: milliseconds(100, 3_000)))]
        case 10: [(.zero, stop(.gate, back: milliseconds(100, 3_000)))]
        // Promised, and then it cannot.
        case 11:
            [
                (.zero, .trouble(.node(node), trouble, milliseconds(500, 4_000))),
                (.milliseconds(50), stop(.lastStage, back: milliseconds(500, 3_000))),
            ]
        case 12: [trigger(), (.zero, .lose(message, count: 1 + generator.next(below: 4)))]
        case 13: [(.zero, .lose(message, count: 1 + generator.next(below: 4)))]
        // Promised in one run, asked for acceptance in the next one: rarely does it meet a round.
        case 25, 27, 28:
            [(.zero, .restartVoter(backAfter: milliseconds(1, 60))), trigger()]
        // Two models staging on one node.
        case 14:
            [
                (.zero, .command(.addModel, at: node)),
                (.milliseconds(20), stop(.lastStage, back: milliseconds(500, 3_000))),
            ]
        case 15: [(.zero, .command(command, at: node))]
        case 16: [(.zero, .leave(node))]
        case 17:
            [
                (
                    .zero,
                    .join(nodes == devices ? node : nodes + generator.next(below: devices - nodes))
                )
            ]
        case 18: [(.zero, cut(milliseconds(200, 5_000)))]
        case 19: [(.zero, .clog(from: node, to: node, milliseconds(50, 2_500)))]
        case 20: [(.zero, .swizzle(milliseconds(200, 2_000)))]
        case 21: [(.zero, .breakConnection(node, node))]
        case 22:
            [
                (
                    .zero,
                    .slow(
                        target, percent: 150 + generator.next(below: 800),
                        milliseconds(1_000, 8_000))
                )
            ]
        case 23: [(.zero, .trouble(target, trouble, milliseconds(200, 3_000)))]
        case 24:
            [
                (.zero, .slowPlanning(milliseconds(200, 3_000), for: milliseconds(500, 4_000))),
                (.milliseconds(10), .discovery(rumour, node)),
            ]
        default:
            [
                (.zero, .burst(target, count: 5 + generator.next(below: 40))),
                (.milliseconds(5), generator.chance(1, outOf: 2) ? .cancel(target) : .damage(node)),
            ]
        }
    }

    private var node: Int { mutating get { generator.next(below: nodes) } }

    private var target: Fault.Target {
        mutating get {
            switch generator.next(below: 6) {
            case 0: .gate
            case 1: .entry
            case 2: .lastStage
            default: .node(node)
            }
        }
    }

    private var trouble: Fault.Trouble {
        mutating get { generator.pick(Fault.Trouble.allCases) ?? .loadFails }
    }
    private var message: Fault.Message {
        mutating get { generator.pick(Fault.Message.allCases) ?? .gone }
    }
    private var rumour: Fault.Rumour {
        mutating get { generator.pick(Fault.Rumour.allCases) ?? .stale }
    }
    private var command: Fault.Command {
        mutating get { generator.pick(Fault.Command.allCases) ?? .addModel }
    }

    private mutating func milliseconds(_ least: Int, _ most: Int) -> TimeSpan {
        .milliseconds(Int64(least + generator.next(below: most - least)))
    }

    private mutating func stop(_ target: Fault.Target, back: TimeSpan) -> Fault {
        let disk: Fault.Disk =
            switch generator.next(below: 6) {
            case 0: .empty
            case 1: .withoutLastWrite
            default: .whole
            }
        return .stop(
            target, generator.chance(1, outOf: 4) ? .powerLoss : .crash, backAfter: back, disk)
    }

    private mutating func split(_ span: TimeSpan) -> Fault {
        .split(UInt64(1 + generator.next(below: (1 << min(nodes, 20)) - 1)), span)
    }

    private mutating func cut(_ span: TimeSpan) -> Fault { .cut(from: node, to: node, span) }

    /// Something that makes a round begin.
    private mutating func trigger() -> (TimeSpan, Fault) {
        (
            .zero,
            generator.chance(1, outOf: 2)
                ? .isolate(.lastStage, milliseconds(1_500, 4_000))
                : stop(.lastStage, back: milliseconds(500, 3_000))
        )
    }
}
