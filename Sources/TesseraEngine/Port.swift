import COpenVINO
import TesseraCore

/// An input or output of a compiled fragment, with its shape in the form that OpenVINO reads.
final class Port: Sendable {
    /// Name, type and shape.
    let descriptor: TensorDescriptor
    /// The bytes of the values.
    let byteCount: Int
    // Written only during `init` and read-only from then on; owned by this object.
    nonisolated(unsafe) private let dimensions: UnsafeMutablePointer<Int64>

    /// Reads the properties of the port.
    init(reading port: OpaquePointer) throws(EngineError) {
        var pointer: UnsafeMutablePointer<CChar>?
        // A port without a name is legal; the error texts below then show an empty one.
        _ = ov_port_get_any_name(port, &pointer)
        let name = OpenVINO.text(taking: pointer) ?? ""
        var shape = ov_shape_t()
        // OpenVINO refuses to tell a shape that is not fixed.
        guard ov_const_port_get_shape(port, &shape).rawValue == 0 else {
            throw .dynamicShape(tensor: name)
        }
        defer { ov_shape_free(&shape) }
        var code = ov_element_type_e(0)
        if let reason = OpenVINO.reason(ofFailure: { ov_port_get_element_type(port, &code) }) {
            throw .unreadable(reason: reason)
        }
        guard let type = ElementType(openVINO: code) else {
            throw .unsupportedType(tensor: name, code: Int(code.rawValue))
        }
        let extents = UnsafeBufferPointer(start: shape.dims, count: Int(shape.rank)).map(Int.init)
        guard !extents.contains(0) else { throw .emptyTensor(tensor: name) }
        descriptor = TensorDescriptor(name: name, type: type, shape: extents)
        byteCount = descriptor.byteCount
        // A scalar has no extents, but OpenVINO refuses a null pointer.
        dimensions = .allocate(capacity: max(1, extents.count))
        dimensions.initialize(to: 0)
        for (axis, extent) in extents.enumerated() { dimensions[axis] = Int64(extent) }
    }

    deinit { dimensions.deallocate() }

    /// Wraps the caller's memory as a tensor of this port, without a copy.
    ///
    /// - Parameter memory: exactly `byteCount` bytes that stay valid until the tensor's run is over.
    /// - Returns: the tensor, which the caller frees.
    /// - Throws: `EngineError.wrongByteCount` or `EngineError.execution`.
    func wrap(_ memory: UnsafeRawBufferPointer) throws(EngineError) -> OpaquePointer {
        guard memory.count == byteCount else {
            throw .wrongByteCount(
                tensor: descriptor.name, expected: byteCount, given: memory.count)
        }
        var tensor: OpaquePointer?
        let shape = ov_shape_t(rank: Int64(descriptor.shape.count), dims: dimensions)
        let reason = OpenVINO.reason {
            ov_tensor_create_from_host_ptr(
                descriptor.type.openVINO, shape,
                UnsafeMutableRawPointer(mutating: memory.baseAddress), &tensor)
        }
        if let reason { throw .execution(reason: reason) }
        guard let tensor else { throw .execution(reason: "the engine could not wrap a tensor") }
        return tensor
    }
}
