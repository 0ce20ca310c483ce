/// How a route is expected to be packed.
public struct RoutePacking: Hashable, Sendable {
    /// Index into the plan's routes.
    public var route: Int
    /// The codec.
    public var codec: Codec
    /// What it is expected to leave of the bytes, in thousandths.
    public var perMille: Int
}

/// What packing takes on nodes of which only the capability is known.
enum PackingCost {
    /// Lossless packing passes over each byte many times: of what a node moves, one in so many.
    static let losslessPart: UInt64 = 40
    /// Unpacking that is about four times as quick.
    static let losslessBackPart: UInt64 = 10
    /// Narrower numbers are made in one pass, which reads and writes.
    static let narrowPart: UInt64 = 4

    /// Nanoseconds of packing and of unpacking so many bytes on two nodes.
    static func nanoseconds(
        _ codec: Codec, bytes: Int, from source: Capability, to destination: Capability
    ) -> (packing: Int, unpacking: Int) {
        func time(_ node: Capability, _ part: UInt64) -> Int {
            CostArithmetic.scaled(
                bytes, by: 1_000,
                over: Int(clamping: max(node.movedBytesPerMicrosecond / part, 1)))
        }
        switch codec {
        case .none: return (0, 0)
        case .lossless:
            return (time(source, losslessPart), time(destination, losslessBackPart))
        case .float16, .bfloat16, .int8:
            return (time(source, narrowPart), time(destination, narrowPart))
        }
    }
}

extension PlanningProblem {
    /// What the codecs that a tensor may be packed by leave of it, from what changes answers least.
    func packings(ofTensor tensor: Int) -> [(codec: Codec, perMille: Int)] {
        guard let codecs, let measured = codecs.measured(tensor) else { return [] }
        let type = outline.tensors[tensor].descriptor.type
        return [(.lossless, measured.losslessPerMille)]
            + codecs.allowed(tensor).filter { $0.takes(type) }.map {
                ($0, $0.fixedPerMille ?? 1_000)
            }
    }

    /// The fewest bytes that packing may leave of a tensor.
    func packedBytes(ofTensor tensor: Int) -> Int {
        let bytes = CostArithmetic.bytes(outline.tensors[tensor].descriptor.byteCount)
        let least = packings(ofTensor: tensor).map(\.perMille).min() ?? 1_000
        return CostArithmetic.scaled(bytes, by: min(least, 1_000), over: 1_000)
    }
}

extension PlanEvaluator {
    /// What packing does to a plan's routes.
    struct Packing {
        /// The routes that are packed.
        var routes: [RoutePacking] = []
        /// Bytes of each route on its link, as they are or packed.
        var bytes: [Int]
        /// Time of packing and unpacking, by fragment.
        var times: [Int]
    }

    /// Which routes their senders would pack, by the rule that senders go by (`CodecChoice`).
    ///
    /// `compute` is how long each fragment computes, with replicas' parts counted.
    func packing(of plan: Plan, hosts: [Int], compute: [Int]) -> Packing {
        let plain = plan.routes.map { bytes(ofTensor: $0.tensor, rows: $0.rows) }
        var result = Packing(bytes: plain, times: compute.map { _ in 0 })
        guard problem.codecs != nil else { return result }
        var busy = [Int](repeating: 0, count: nodes.count)
        for (fragment, host) in hosts.enumerated() { busy[host] += compute[fragment] }
        let pace = max(busy.max() ?? 1, 1)
        var sums = [Int](repeating: 0, count: nodes.count)
        let ways = plan.routes.indices.map { route -> (maker: Int, reader: Int, time: Int)? in
            guard case .fragment(let maker) = plan.routes[route].source,
                case .fragment(let reader) = plan.routes[route].destination,
                hosts[maker] != hosts[reader]
            else { return nil }
            let time = links.occupancy(
                from: hosts[maker], to: hosts[reader], bytes: plain[route])
            let part = plan.share(ofFragment: maker) * plan.share(ofFragment: reader) / 1_000
            sums[hosts[maker]] += CostArithmetic.scaled(time, by: max(part, 1), over: 1_000)
            return (maker, reader, time)
        }
        for (route, way) in ways.enumerated() {
            guard let way, plain[route] >= LinkCodecs.bytesMin else { continue }
            let (source, target) = (
                nodes[hosts[way.maker]].capability, nodes[hosts[way.reader]].capability
            )
            let known = problem.packings(ofTensor: plan.routes[route].tensor)
            let options = known.map { known -> CodecChoice.Option in
                let time = PackingCost.nanoseconds(
                    known.codec, bytes: plain[route], from: source, to: target)
                return CodecChoice.Option(
                    codec: known.codec, perMille: known.perMille,
                    packNanoseconds: time.packing, unpackNanoseconds: time.unpacking)
            }
            let choice = CodecChoice(
                byteCount: plain[route],
                bytesPerSecond: links.bytesPerSecond(
                    from: hosts[way.maker], to: hosts[way.reader]), queuedBytes: 0,
                neededNanoseconds: CostArithmetic.scaled(
                    pace, by: way.time, over: max(sums[hosts[way.maker]], 1)),
                isForLatency: problem.goal.objective == .latency, options: options,
                present: .none)
            let codec = choice.decide().codec
            guard let place = options.firstIndex(where: { $0.codec == codec }) else { continue }
            let perMille = known[place].perMille
            result.routes.append(RoutePacking(route: route, codec: codec, perMille: perMille))
            result.bytes[route] = CostArithmetic.scaled(plain[route], by: perMille, over: 1_000)
            // One thread packs, while the engine has the others.
            result.times[way.maker] += options[place].packNanoseconds / max(source.threads, 1)
            result.times[way.reader] += options[place].unpackNanoseconds / max(target.threads, 1)
        }
        return result
    }
}
