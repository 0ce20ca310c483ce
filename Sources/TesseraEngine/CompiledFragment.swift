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

    private let ports: FragmentPorts
    private let pool: RequestPool
    // OpenVINO's compiled models are safe to use from several threads, and the pointer never changes.
    nonisolated(unsafe) private let compiled: OpaquePointer

    /// Takes over a compiled model.
    init(
        taking compiled: OpaquePointer, ports: FragmentPorts, source: FragmentSource, streams: Int,
        threads: Int
    ) throws(EngineError) {
        do {
            pool = try RequestPool(compiled: compiled, weights: source.weights, count: streams)
        } catch {
            ov_compiled_model_free(compiled)
            throw error
        }
        self.compiled = compiled
        self.ports = ports
        concurrency = streams
        threadsPerRun = max(1, threads / streams)
        inputs = ports.inputs.map(\.descriptor)
        outputs = ports.outputs.map(\.descriptor)
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
        guard inputs.count == ports.inputs.count else {
            throw .wrongTensorCount(
                direction: .input, expected: ports.inputs.count, given: inputs.count)
        }
        guard outputs.count == ports.outputs.count else {
            throw .wrongTensorCount(
                direction: .output, expected: ports.outputs.count, given: outputs.count)
        }
        // Wrapped before a request is taken, so that a wrong size costs nobody a turn.
        var tensors: [OpaquePointer] = []
        tensors.reserveCapacity(inputs.count + outputs.count)
        defer { for tensor in tensors { ov_tensor_free(tensor) } }
        for (port, memory) in zip(ports.inputs, inputs) { tensors.append(try port.wrap(memory)) }
        for (port, memory) in zip(ports.outputs, outputs) {
            tensors.append(try port.wrap(UnsafeRawBufferPointer(memory)))
        }
        let request = pool.take()
        let reason = infer(request.pointer, tensors: tensors)
        pool.giveBack(request)
        if let reason { throw .execution(reason: reason) }
        for (output, input) in ports.passes { outputs[output].copyMemory(from: inputs[input]) }
    }

    private func infer(_ request: OpaquePointer, tensors: [OpaquePointer]) -> String? {
        let inputCount = ports.inputs.count
        for (index, tensor) in tensors.enumerated() where ports.passes[index - inputCount] == nil {
            let reason = OpenVINO.reason {
                index < inputCount
                    ? ov_infer_request_set_input_tensor_by_index(request, index, tensor)
                    : ov_infer_request_set_output_tensor_by_index(
                        request, index - inputCount, tensor)
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
}
