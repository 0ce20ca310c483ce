import COpenVINO
public import TesseraCore

/// A fragment that is ready to run on this machine.
public final class CompiledFragment: Sendable {
    /// What a run reads, in the order in which the fragment's text lists its parameters.
    public let inputs: [TensorDescriptor]
    /// What a run writes, in the order in which the fragment's text lists its results.
    public let outputs: [TensorDescriptor]
    /// How many runs are inside the engine at once; more wait in the order of their arrival.
    public let concurrency: Int
    /// The threads that one run uses.
    public let threadsPerRun: Int
    /// The memory that the fragment takes while it is compiled: weights and an estimate of buffers.
    public let memoryBytes: Int

    private let inputPorts: [Port]
    private let outputPorts: [Port]
    private let pool: RequestPool
    // OpenVINO's compiled models are safe to use from several threads, and the pointer never changes.
    nonisolated(unsafe) private let compiled: OpaquePointer

    /// Takes over a compiled model.
    init(
        taking compiled: OpaquePointer, source: FragmentSource, streams: Int, threads: Int
    ) throws(EngineError) {
        do {
            inputPorts = try Self.ports(
                of: compiled, size: ov_compiled_model_inputs_size,
                port: ov_compiled_model_input_by_index)
            outputPorts = try Self.ports(
                of: compiled, size: ov_compiled_model_outputs_size,
                port: ov_compiled_model_output_by_index)
            pool = try RequestPool(
                compiled: compiled, weights: source.weights, count: streams)
        } catch {
            ov_compiled_model_free(compiled)
            throw error
        }
        self.compiled = compiled
        concurrency = streams
        threadsPerRun = max(1, threads / streams)
        inputs = inputPorts.map(\.descriptor)
        outputs = outputPorts.map(\.descriptor)
        memoryBytes = MemoryEstimate.bytes(of: source, streams: streams)
    }

    deinit { ov_compiled_model_free(compiled) }

    /// Runs the fragment once, reading from and writing to the caller's memory without a copy.
    ///
    /// Blocks until the result is there; waits first if `concurrency` runs are inside.
    ///
    /// - Parameters:
    ///   - inputs: the values of each input, exactly as many bytes as its descriptor says.
    ///   - outputs: the memory for each output, exactly as many bytes as its descriptor says. After
    ///     an error its content is undefined.
    /// - Throws: `EngineError.wrongTensorCount` or `.wrongByteCount` before anything ran, or
    ///   `.execution`.
    public func run(
        inputs: [UnsafeRawBufferPointer], outputs: [UnsafeMutableRawBufferPointer]
    ) throws(EngineError) {
        guard inputs.count == inputPorts.count else {
            throw .wrongTensorCount(
                direction: .input, expected: inputPorts.count, given: inputs.count)
        }
        guard outputs.count == outputPorts.count else {
            throw .wrongTensorCount(
                direction: .output, expected: outputPorts.count, given: outputs.count)
        }
        // Wrapped before a request is taken, so that a wrong size costs nobody a turn.
        var tensors: [OpaquePointer] = []
        tensors.reserveCapacity(inputs.count + outputs.count)
        defer { for tensor in tensors { ov_tensor_free(tensor) } }
        for (port, memory) in zip(inputPorts, inputs) { tensors.append(try port.wrap(memory)) }
        for (port, memory) in zip(outputPorts, outputs) {
            tensors.append(try port.wrap(UnsafeRawBufferPointer(memory)))
        }
        let request = pool.take()
        defer { pool.giveBack(request) }
        if let reason = infer(request.pointer, tensors: tensors) {
            throw .execution(reason: reason)
        }
    }

    private func infer(_ request: OpaquePointer, tensors: [OpaquePointer]) -> String? {
        for (index, tensor) in tensors.enumerated() {
            let reason = OpenVINO.reason {
                index < inputPorts.count
                    ? ov_infer_request_set_input_tensor_by_index(request, index, tensor)
                    : ov_infer_request_set_output_tensor_by_index(
                        request, index - inputPorts.count, tensor)
            }
            if let reason { return reason }
        }
        // With one stream the caller's own thread computes, which saves two changes of threads. With
        // several, OpenVINO ties a caller's thread to a stream that may be busy while another is
        // idle, so its own threads take the runs.
        if concurrency == 1 { return OpenVINO.reason { ov_infer_request_infer(request) } }
        return OpenVINO.reason { ov_infer_request_start_async(request) }
            ?? OpenVINO.reason { ov_infer_request_wait(request) }
    }

    private static func ports(
        of compiled: OpaquePointer,
        size: (OpaquePointer?, UnsafeMutablePointer<Int>?) -> ov_status_e,
        port: (OpaquePointer?, Int, UnsafeMutablePointer<OpaquePointer?>?) -> ov_status_e
    ) throws(EngineError) -> [Port] {
        var count = 0
        if let reason = OpenVINO.reason(ofFailure: { size(compiled, &count) }) {
            throw .compilation(reason: reason)
        }
        var ports: [Port] = []
        for index in 0..<count {
            var pointer: OpaquePointer?
            if let reason = OpenVINO.reason(ofFailure: { port(compiled, index, &pointer) }) {
                throw .compilation(reason: reason)
            }
            guard let pointer else { throw .compilation(reason: "the engine hides a port") }
            defer { ov_output_const_port_free(pointer) }
            ports.append(try Port(reading: pointer))
        }
        return ports
    }
}
