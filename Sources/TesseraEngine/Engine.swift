import COpenVINO
public import TesseraCore

/// OpenVINO on this machine's CPU: compiles fragments for a fixed share of the processor.
///
/// Every call blocks and may take long, so callers use threads of their own, never an event loop or
/// the cooperative pool. What a caller's thread runs, it mostly runs itself: a lowered priority of
/// that thread holds for the engine's work too.
public final class Engine: Sendable {
    /// The threads that an engine may be told to use: more than any single machine has.
    public static let threadsAllowed = 1...1_024
    /// The runs at once that a fragment may be compiled for; each may hold its own buffers.
    public static let concurrencyAllowed = 1...256

    /// The threads that one fragment uses at most, however many runs are in it at once.
    public let threads: Int
    /// What decides the bits of this engine's results.
    public let fingerprint: EngineFingerprint

    // OpenVINO's core is documented as safe to use from several threads, and the pointer never
    // changes.
    nonisolated(unsafe) private let core: OpaquePointer

    /// Settings that change results, hence part of the fingerprint.
    private static let exactness: [(key: String, value: String)] = [
        // A CPU with bfloat16 units would otherwise use them.
        ("INFERENCE_PRECISION_HINT", "f32"),
        // Matrix products with compressed weights would otherwise round their inputs to 8 bits.
        ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"),
    ]

    /// Starts the engine with so many threads.
    ///
    /// - Parameter threads: the share of the processor, one of `threadsAllowed`.
    /// - Throws: `EngineError.badSetting` or `EngineError.unavailable`.
    public init(threads: Int) throws(EngineError) {
        guard Self.threadsAllowed.contains(threads) else {
            throw .badSetting(name: "threads", value: threads, allowed: Self.threadsAllowed)
        }
        var core: OpaquePointer?
        if let reason = OpenVINO.reason(ofFailure: { ov_core_create(&core) }) {
            throw .unavailable(reason: reason)
        }
        guard let core else { throw .unavailable(reason: "it gave no reason") }
        do {
            fingerprint = try Self.readFingerprint(core: core)
        } catch {
            ov_core_free(core)
            throw error
        }
        self.core = core
        self.threads = threads
    }

    deinit { ov_core_free(core) }

    /// Reads and compiles a fragment.
    ///
    /// As many runs as fit `concurrency` and the threads are inside the engine at once, and share the
    /// threads evenly. More callers than that wait in the order of their arrival: a second run on the
    /// same thread would only delay the first.
    ///
    /// - Parameters:
    ///   - source: the fragment; its weights stay alive as long as what this returns.
    ///   - concurrency: how many runs at once are worth buffers of their own, one of
    ///     `concurrencyAllowed`. 1 gives the shortest single run, as many as threads the most runs.
    /// - Returns: the fragment, ready to run.
    /// - Throws: `EngineError` with what is wrong with the fragment.
    public func compile(
        _ source: FragmentSource, concurrency: Int
    ) throws(EngineError) -> CompiledFragment {
        guard Self.concurrencyAllowed.contains(concurrency) else {
            throw .badSetting(
                name: "concurrency", value: concurrency, allowed: Self.concurrencyAllowed)
        }
        let model = try read(source)
        defer { ov_model_free(model) }
        let ports = try FragmentPorts(of: model, xml: source.xml)
        let streams = min(threads, concurrency)
        let compiled = try compile(model: model, streams: streams)
        return try CompiledFragment(
            taking: compiled, ports: ports, source: source, streams: streams, threads: threads)
    }

    private func read(_ source: FragmentSource) throws(EngineError) -> OpaquePointer {
        var weights: OpaquePointer?
        defer { if let weights { ov_tensor_free(weights) } }
        if let start = source.weights.start {
            var extent = Int64(source.weights.byteCount)
            let reason = withUnsafeMutablePointer(to: &extent) { extent in
                OpenVINO.reason {
                    ov_tensor_create_from_host_ptr(
                        U8, ov_shape_t(rank: 1, dims: extent), start, &weights)
                }
            }
            if let reason { throw .unreadable(reason: reason) }
        }
        var model: OpaquePointer?
        let reason = source.xml.withUnsafeBufferPointer { xml in
            xml.withMemoryRebound(to: CChar.self) { text in
                OpenVINO.reason {
                    ov_core_read_model_from_memory_buffer(
                        core, text.baseAddress, text.count, weights, &model)
                }
            }
        }
        if let reason { throw .unreadable(reason: reason) }
        guard let model else {
            throw .unreadable(reason: "the engine gave neither model nor error")
        }
        return model
    }

    /// What a fragment takes once it is compiled, from its text alone.
    public func memoryBytes(xml: [UInt8], weightByteCount: Int, concurrency: Int) -> Int {
        MemoryEstimate.bytes(
            xml: xml, weightByteCount: weightByteCount, streams: min(threads, concurrency))
    }

    private func compile(model: OpaquePointer, streams: Int) throws(EngineError) -> OpaquePointer {
        let settings =
            Self.exactness + [
                ("NUM_STREAMS", String(streams)),
                ("INFERENCE_NUM_THREADS", String(threads)),
                // Pinned threads of several agents on one machine would share one core.
                ("ENABLE_CPU_PINNING", "NO"),
                // The caller's thread count stands, also where it counts hardware threads.
                ("ENABLE_HYPER_THREADING", "YES"),
            ]
        var compiled: OpaquePointer?
        let reason = OpenVINO.withProperties(settings) { properties in
            OpenVINO.reason {
                ov_core_compile_model_props(
                    core, model, "CPU", properties.count, properties.baseAddress, &compiled)
            }
        }
        if let reason { throw .compilation(reason: reason) }
        guard let compiled else {
            throw .compilation(reason: "the engine gave neither a result nor an error")
        }
        return compiled
    }

    private static func readFingerprint(
        core: OpaquePointer
    ) throws(EngineError) -> EngineFingerprint {
        var version = ov_version_t()
        if let reason = OpenVINO.reason(ofFailure: { ov_get_openvino_version(&version) }) {
            throw .unavailable(reason: reason)
        }
        defer { ov_version_free(&version) }
        guard let build = version.buildNumber else {
            throw .unavailable(reason: "it does not tell its version")
        }
        // Asking for the device loads its plugin, so a missing one shows here and not later.
        var device: UnsafeMutablePointer<CChar>?
        if let reason = OpenVINO.reason(ofFailure: {
            ov_core_get_property(core, "CPU", "FULL_DEVICE_NAME", &device)
        }) {
            throw .unavailable(reason: reason)
        }
        ov_free(device)
        let instructionSet = String(cString: tessera_instruction_set())
        let settings = exactness.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        return EngineFingerprint(
            text: "openvino \(String(cString: build)); \(instructionSet); \(settings)")
    }
}
