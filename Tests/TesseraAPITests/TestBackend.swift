import NIOCore
import Synchronization
import TesseraAPI
import TesseraCore

/// An agent in memory whose models give their inputs back: what the API does with requests and
/// answers, without a mesh.
final class TestBackend: AgentBackend {
    struct State {
        var requests: [InferenceRequest] = []
        var cancelledCount = 0
        var blobs: [BlobID: Int] = [:]
        var manifests: [ManifestID: Int] = [:]
        var names: [String: ManifestID] = [:]
        var isReady = true
        var overviewCount = 0
        /// How long an overview is, beside what is in it anyway.
        var overviewBytes = 0
    }

    static let node = NodeID(0xAB, 1, 2, 3)
    static let plan = PlanID(7, 7, 7, 7)
    static let manifest = ManifestID(1, 1, 1, 1)

    let state = Mutex(State())
    /// Gets a word for each thing that a test waits for.
    let signals: AsyncStream<String>
    private let signal: AsyncStream<String>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64)) }

    static func tensor(_ name: String, _ type: ElementType, _ shape: [Int]) -> TensorDescriptor {
        TensorDescriptor(name: name, type: type, shape: shape)
    }

    /// Models that only give an error, by name.
    static let errors: [String: RequestError] = [
        "unknown-to-core": .unknownModel,
        "unavailable": .unavailable(reason: "no node has room"),
        "overloaded": .overloaded(retryAfter: .milliseconds(2_500)),
        "late": .deadlineExceeded,
        "failed": .failed(reason: "the engine said no"),
        "refused": .refused(reason: "it failed on two nodes"),
        "leaving": .leaving,
    ]

    func interface(of name: String) async -> ModelInformation? { await model(named: name) }

    func model(named name: String) async -> ModelInformation? {
        var readiness = Readiness.ready
        var inputs = [Self.tensor("x", .float32, [1, 4])]
        var outputs = [Self.tensor("y", .float32, [1, 4])]
        switch name {
        case "identity", "slow": break
        case "with space": break
        case "seeing":
            inputs = [Self.tensor("x", .float32, [1, 1, 1, 2])]
            outputs = [Self.tensor("y", .float32, [1, 2])]
        case "misled": break
        case "large":
            inputs = [Self.tensor("x", .float32, [1, 100_000])]
            outputs = [Self.tensor("y", .float32, [1, 100_000])]
        case "mixed":
            inputs = ElementType.allCases.map { Self.tensor("in-\($0)", $0, [1, 2]) }
            outputs = ElementType.allCases.map { Self.tensor("out-\($0)", $0, [1, 2]) }
        case "fixed":
            inputs = [Self.tensor("x", .int32, [2, 3]), Self.tensor("s", .uint8, [])]
            outputs = [Self.tensor("y", .int32, [2, 3]), Self.tensor("t", .uint8, [])]
        case "unread":
            (inputs, outputs) = ([], [])
            readiness = .notReady(reason: "its manifest has not arrived")
        case "reduced": outputs = [Self.tensor("y", .float32, [4])]
        case "waiting": readiness = .notReady(reason: "3 blobs are missing")
        default: if Self.errors[name] == nil { return nil }
        }
        return ModelInformation(
            name: name, manifest: Self.manifest, inputs: inputs, outputs: outputs,
            weightBytes: 12, readiness: readiness)
    }

    func imageInput(of model: ModelInformation) async -> ImageInput? {
        guard ["seeing", "misled"].contains(model.name) else { return nil }
        return ImageInput(
            channels: .grey, layout: .nchw, mean: [0], scale: [255], scores: .probabilities,
            labels: ["left <b>", "right"])
    }

    func fault(of inputs: [InferenceTensor]) -> String? {
        inputs.first?.bytes.readableBytesView.allSatisfy { $0 == 0xFF } == true
            ? "all bits are set" : nil
    }

    func infer(_ request: InferenceRequest) async throws(RequestError) -> InferenceResponse {
        state.withLock { $0.requests.append(request) }
        if let error = Self.errors[request.model] { throw error }
        if request.model == "slow" {
            signal.yield("infers")
            // Ends when the task is cancelled, or by the limit of the test.
            let never = AsyncStream<Void> { _ in }
            for await _ in never {}
            state.withLock { $0.cancelledCount += 1 }
            signal.yield("cancelled")
            throw .failed(reason: "cancelled")
        }
        guard let model = await model(named: request.model) else { throw .unknownModel }
        let outputs = zip(model.outputs, request.inputs).map { output, input in
            InferenceTensor(descriptor: output, bytes: input.bytes)
        }
        return InferenceResponse(
            outputs: outputs, request: "0a1b2c3d-1-2", plan: Self.plan, node: "here",
            attempts: request.inputs.count)
    }

    func serverInformation() async -> ServerInformation {
        ServerInformation(
            node: Self.node, name: "here", mesh: "home", version: "0.1.0", uptime: .seconds(5))
    }

    func readiness() async -> Readiness {
        state.withLock { $0.isReady } ? .ready : .notReady(reason: "it is leaving")
    }

    func models() async -> ModelsDocument {
        var result: [ModelDocument] = []
        for name in ["identity", "waiting"] {
            guard let model = await model(named: name) else { continue }
            result.append(
                ModelDocument(
                    name: name, manifest: model.manifest.hexadecimal,
                    isReady: model.readiness == .ready, reason: model.readiness.reason,
                    weightBytes: model.weightBytes, copies: 2, nodes: 4))
        }
        let names = state.withLock { $0.names }
        for (name, manifest) in names.sorted(by: { $0.key < $1.key }) {
            result.append(
                ModelDocument(
                    name: name, manifest: manifest.hexadecimal, isReady: true, reason: nil,
                    weightBytes: 1, copies: 2, nodes: 1))
        }
        return ModelsDocument(models: result)
    }

    func status() async -> StatusDocument {
        StatusDocument(
            release: "0.1.0", name: "here", id: Self.node.hexadecimal, mesh: "home",
            listen: "[::1]:8701", discovery: "mDNS", uptimeMicroseconds: 5, isReady: true,
            reason: nil, membersAlive: 1, openRequests: 2, reservedBytes: 3, memoryBytes: 30,
            counters: ["slicesSent": 1], health: ["the disk is nearly full"])
    }

    func metrics() async -> AgentMetrics {
        var metrics = AgentMetrics(
            release: "0.1.0", wireProtocol: 1, name: "here", mesh: "ho\"me", engine: nil,
            uptimeSeconds: 1.5, isReady: true)
        metrics.members = [.init("alive", 2), .init("dead", 1)]
        metrics.peers = [
            .init(
                name: "there\\\n", node: "01", isConnected: true, sentBytes: 3,
                receivedBytes: 4, bytesPerSecond: nil, roundTripSeconds: 0.25)
        ]
        return metrics
    }

    func members() async -> MembersDocument {
        MembersDocument(members: [
            MemberDocument(
                name: "here", id: Self.node.hexadecimal, boot: 4, address: "[::1]:8701",
                status: "alive", isSelf: true, isConnected: true, isLeaving: false),
            MemberDocument(
                name: "there \"q\"", id: NodeID(1, 1, 1, 1).hexadecimal, boot: 4, address: "?",
                status: "dead", isSelf: false, isConnected: false, isLeaving: true,
                roundTripMicroseconds: 99, threads: 2),
        ])
    }

    func overview(trafficSeconds: Int) async -> OverviewDocument {
        let padding = state.withLock { state in
            state.overviewCount += 1
            return state.overviewBytes
        }
        var status = await status()
        if padding > 0 { status.health.append(String(repeating: "x", count: padding)) }
        return OverviewDocument(
            status: status, members: await members().members, links: [],
            models: await models().models, running: [],
            traffic: [
                TrafficDocument(
                    second: Int64(trafficSeconds), answered: 1, failed: 0, medianMicroseconds: 5,
                    p99Microseconds: 5)
            ])
    }

    func plan(model name: String) async -> PlanAnswer {
        guard let model = await model(named: name) else { return .unknownModel }
        if let reason = model.readiness.reason { return .none(reason: reason) }
        return .plan(
            PlanDocument(
                model: name, plan: Self.plan.hexadecimal, epoch: 3, proposer: "here", operators: 5,
                stages: [
                    StageDocument(
                        mode: "single", nodes: ["here"], first: 0, last: 4, operators: ["a", "b"],
                        predictedMicroseconds: 10, measuredMicroseconds: nil,
                        linkMicroseconds: 1, memoryBytes: 77)
                ], window: 4, predictedPeriodMicroseconds: 10, predictedLatencyMicroseconds: 12,
                boundMicroseconds: 9, binding: "all", bottleneck: "computing", exactness: "exact",
                alternates: [
                    AlternateDocument(
                        plan: "0", without: "here", isArmed: false, waitsFor: ["there"], changes: []
                    )
                ], used: [.init(node: "here", reason: "it is quick")],
                leftOut: [.init(node: "there", reason: "it is slow")]))
    }

    func events(after sequence: UInt64, follow: Bool) async -> EventStream {
        AsyncStream<EventDocument>(bufferingPolicy: .bufferingOldest(16)) { stream in
            for number in (sequence + 1)..<max(sequence + 2, 4) {
                stream.yield(
                    EventDocument(
                        number: number, atMicroseconds: 5, kind: "decided", node: nil,
                        model: "identity", plan: nil, text: "a plan", milliseconds: nil))
            }
            let signal = self.signal
            stream.onTermination = { _ in signal.yield("events ended") }
            if !follow { stream.finish() }
        }
    }

    func hasBlob(_ id: BlobID) async -> Bool { state.withLock { $0.blobs[id] != nil } }

    func storeBlob(
        _ id: BlobID, byteCount: Int, body: UploadStream
    ) async throws(ControlError) {
        if byteCount == 13 { throw .noRoom(reason: "13 bytes are too many") }
        var count = 0
        do {
            for try await part in body { count += part.readableBytes }
        } catch {
            throw .failed(reason: "the upload broke")
        }
        guard count == byteCount else { throw .invalid(reason: "wrong count") }
        state.withLock { $0.blobs[id] = count }
    }

    func hasManifest(_ id: ManifestID) async -> Bool {
        state.withLock { $0.manifests[id] != nil }
    }

    func storeManifest(_ id: ManifestID, bytes: ByteBuffer) async throws(ControlError) {
        state.withLock { $0.manifests[id] = bytes.readableBytes }
    }

    func addModel(
        named name: String, manifest: ManifestID, settings: ModelSettings
    ) async throws(ControlError) {
        guard manifest == Self.manifest else { throw .invalid(reason: "2 blobs are missing") }
        state.withLock { $0.names[name] = manifest }
    }

    func removeModel(named name: String) async throws(ControlError) {
        let old = state.withLock { $0.names.removeValue(forKey: name) }
        if old == nil { throw .notFound(reason: "no model \(name)") }
    }

    func drain() async throws(ControlError) { state.withLock { $0.isReady = false } }
}
