/// The memory that a fragment takes on its host: the same figure for the planner and for the host,
/// so that what is planned is what is reserved.
public enum FragmentMemory {
    /// What the engine keeps for one compiled fragment beside weights and buffers; measured with
    /// small fragments.
    static let engineOverheadBytes = 4 << 20

    /// Weights, engine overhead, and room for the slices of all attempts that may be here.
    ///
    /// Twice the window, since an attempt that was given up and the one that follows it may be here
    /// at once; intermediate tensors are counted with the engine's overhead and the largest tensor.
    public static func reservedBytes(
        of operators: Range<Int>, outline: ModelOutline, window: Int
    ) -> Int {
        let slices =
            outline.inputTensors(of: operators).reduce(0) { sum, tensor in
                sum + outline.tensors[tensor].descriptor.byteCount
            }
            + outline.outputTensors(of: operators).reduce(0) { sum, tensor in
                sum + outline.tensors[tensor].descriptor.byteCount
            }
        let largest =
            outline.tensors.filter { tensor in
                tensor.producer.map { operators.contains($0) } ?? false
            }.map(\.descriptor.byteCount).max() ?? 0
        return outline.weightBytes(of: operators) + engineOverheadBytes + 2 * window * slices
            + 2 * largest
    }
}
