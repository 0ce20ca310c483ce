/// Estimates what a compiled fragment takes in memory, from its text alone, so that equal fragments
/// count equally wherever and whenever they are compiled.
enum MemoryEstimate {
    /// The engine keeps the constants as they were given and a second copy in the order that its
    /// kernels read.
    private static let copiesOfWeights = 2
    /// What a compiled fragment takes however small it is: code of its kernels, its graph.
    private static let fixedBytes = 2 << 20

    /// The bytes of weights, intermediate tensors (once per stream) and the engine's own objects.
    static func bytes(of source: FragmentSource, streams: Int) -> Int {
        bytes(xml: source.xml, weightByteCount: source.weights.byteCount, streams: streams)
    }

    /// The same before the weights are there.
    static func bytes(xml: [UInt8], weightByteCount: Int, streams: Int) -> Int {
        let buffers = peakTensorBytes(xml: xml).multipliedReportingOverflow(by: streams)
        let weights = copiesOfWeights * weightByteCount + fixedBytes
        let (sum, overflow) = weights.addingReportingOverflow(buffers.partialValue)
        return overflow || buffers.overflow ? .max : sum
    }

    /// The most bytes of tensors that are alive at once if operators run in the text's order.
    static func peakTensorBytes(xml: [UInt8]) -> Int {
        var graph = Graph()
        graph.read(xml)
        var changes = [Int](repeating: 0, count: graph.layerCount + 1)
        for tensor in graph.tensors.values {
            changes[tensor.firstUse] &+= tensor.bytes
            changes[tensor.lastUse + 1] &-= tensor.bytes
        }
        var alive = 0
        var peak = 0
        for change in changes {
            alive &+= change
            peak = max(peak, alive)
        }
        return peak
    }

    /// The tensors of an IR text with their lifetimes, counted in layers of the text.
    private struct Graph {
        /// One output of a layer.
        struct Output: Hashable {
            var layer: Int
            var port: Int
        }

        /// The tensor that an output makes.
        struct Tensor {
            var bytes: Int
            var firstUse: Int
            var lastUse: Int
        }

        var tensors: [Output: Tensor] = [:]
        var layerCount = 0
        private var places: [Int: Int] = [:]
        private var depth = 0
        private var isConstant = false
        private var isInOutput = false
        private var layer = -1
        private var port: (id: Int, bytes: Int)?

        mutating func read(_ xml: [UInt8]) {
            var scanner = TagScanner(xml)
            while let tag = scanner.next() {
                switch tag.name {
                case "layer": enterLayer(tag)
                case "/layer": depth -= 1
                case "output" where depth == 1: isInOutput = true
                case "/output" where depth == 1: isInOutput = false
                case "port" where depth == 1 && isInOutput: enterPort(tag)
                case "dim": multiply(by: scanner.number() ?? 1)
                case "/port": leavePort()
                case "edge" where depth == 0: follow(tag)
                default: break
                }
            }
        }

        private mutating func enterLayer(_ tag: TagScanner.Tag) {
            if depth == 0 {
                layer = tag.value(of: "id").flatMap(Int.init) ?? -1
                isConstant = tag.value(of: "type") == "Const"
                places[layer] = layerCount
                layerCount += 1
            }
            // The body of a loop or a branch holds layers of its own.
            if !tag.isEmpty { depth += 1 }
        }

        private mutating func enterPort(_ tag: TagScanner.Tag) {
            guard !isConstant, let id = tag.value(of: "id").flatMap(Int.init) else { return }
            let bytes = Self.elementBytes(precision: tag.value(of: "precision") ?? "")
            if tag.isEmpty { note(id: id, bytes: bytes) } else { port = (id, bytes) }
        }

        private mutating func multiply(by extent: Int) {
            guard let open = port else { return }
            let (product, overflow) = open.bytes.multipliedReportingOverflow(by: extent)
            // Far above any memory, and far enough from overflowing when many are added.
            port?.bytes = overflow ? 1 << 48 : min(product, 1 << 48)
        }

        private mutating func leavePort() {
            guard let open = port else { return }
            note(id: open.id, bytes: open.bytes)
            port = nil
        }

        private mutating func note(id: Int, bytes: Int) {
            let place = layerCount - 1
            tensors[Output(layer: layer, port: id)] = Tensor(
                bytes: bytes, firstUse: place, lastUse: place)
        }

        private mutating func follow(_ edge: TagScanner.Tag) {
            guard let from = edge.value(of: "from-layer").flatMap(Int.init),
                let port = edge.value(of: "from-port").flatMap(Int.init),
                let to = edge.value(of: "to-layer").flatMap(Int.init), let place = places[to]
            else { return }
            let output = Output(layer: from, port: port)
            guard let lastUse = tensors[output]?.lastUse else { return }
            tensors[output]?.lastUse = max(lastUse, place)
        }

        private static func elementBytes(precision: String) -> Int {
            switch precision {
            case "FP64", "I64", "U64": 8
            case "FP32", "I32", "U32": 4
            case "FP16", "BF16", "I16", "U16": 2
            default: 1
            }
        }
    }
}
