import COpenVINO

/// The inputs and outputs of a fragment, as its text has them.
struct FragmentPorts: Sendable {
    /// In the order of the text's parameters.
    let inputs: [Port]
    /// In the order of the text's results.
    let outputs: [Port]
    /// The outputs that are an input untouched, each with the index of that input.
    ///
    /// OpenVINO must not be given memory of the caller for these: it then takes the output's memory
    /// for the input's, writes nothing, and may even overwrite the input (2026.4.1). A run copies
    /// them itself.
    let passes: [Int: Int]

    /// Reads the ports of a model that is not compiled yet, because compiling renames tensors.
    init(of model: OpaquePointer, xml: [UInt8]) throws(EngineError) {
        inputs = try Self.ports(
            of: model, size: ov_model_inputs_size, port: ov_model_const_input_by_index)
        outputs = try Self.ports(
            of: model, size: ov_model_outputs_size, port: ov_model_const_output_by_index)
        guard !outputs.isEmpty else { throw .unreadable(reason: "it has no output") }
        passes = Self.passes(in: xml)
        for (output, input) in passes {
            guard outputs.indices.contains(output), inputs.indices.contains(input),
                outputs[output].byteCount == inputs[input].byteCount
            else { throw .unreadable(reason: "its layers are numbered ambiguously") }
        }
    }

    private static func ports(
        of model: OpaquePointer,
        size: (OpaquePointer?, UnsafeMutablePointer<Int>?) -> ov_status_e,
        port: (OpaquePointer?, Int, UnsafeMutablePointer<OpaquePointer?>?) -> ov_status_e
    ) throws(EngineError) -> [Port] {
        var count = 0
        if let reason = OpenVINO.reason(ofFailure: { size(model, &count) }) {
            throw .unreadable(reason: reason)
        }
        var ports: [Port] = []
        for index in 0..<count {
            var pointer: OpaquePointer?
            if let reason = OpenVINO.reason(ofFailure: { port(model, index, &pointer) }) {
                throw .unreadable(reason: reason)
            }
            guard let pointer else { throw .unreadable(reason: "the engine hides a port") }
            defer { ov_output_const_port_free(pointer) }
            ports.append(try Port(reading: pointer))
        }
        return ports
    }

    /// Finds the edges that lead from a parameter straight to a result.
    private static func passes(in xml: [UInt8]) -> [Int: Int] {
        var parameters: [String: Int] = [:]
        var results: [String: Int] = [:]
        var passes: [Int: Int] = [:]
        var scanner = TagScanner(xml)
        // The body of a loop or a branch has layers and edges of its own.
        var depth = 0
        while let tag = scanner.next() {
            switch tag.name {
            case "layer":
                if depth == 0, let id = tag.value(of: "id") {
                    switch tag.value(of: "type") {
                    case "Parameter": parameters[id] = parameters.count
                    case "Result": results[id] = results.count
                    default: break
                    }
                }
                if !tag.isEmpty { depth += 1 }
            case "/layer": depth -= 1
            case "edge" where depth == 0:
                if let from = tag.value(of: "from-layer"), let input = parameters[from],
                    let to = tag.value(of: "to-layer"), let output = results[to]
                {
                    passes[output] = input
                }
            default: break
            }
        }
        return passes
    }
}
