/// What can go wrong with the engine, as what happened, why, and what to do.
public enum EngineError: Error, Hashable, Sendable {
    /// The engine's runtime could not be started.
    case unavailable(reason: String)
    /// A setting of the caller is out of range.
    case badSetting(name: String, value: Int, allowed: ClosedRange<Int>)
    /// There is not enough memory for so many bytes of weights.
    case outOfMemory(byteCount: Int)
    /// The fragment's text or weights are not what the engine reads.
    case unreadable(reason: String)
    /// The shape of an input or output is not fixed.
    case dynamicShape(tensor: String)
    /// An input or output holds no element.
    case emptyTensor(tensor: String)
    /// An input or output has a type that `ElementType` has no word for.
    case unsupportedType(tensor: String, code: Int)
    /// The fragment was read but could not be compiled.
    case compilation(reason: String)
    /// A run was given the wrong number of tensors.
    case wrongTensorCount(direction: Direction, expected: Int, given: Int)
    /// A run was given a tensor of the wrong size.
    case wrongByteCount(tensor: String, expected: Int, given: Int)
    /// A run failed inside the engine.
    case execution(reason: String)

    /// Which side of a fragment a tensor is on.
    public enum Direction: String, Sendable {
        /// Read by the fragment.
        case input
        /// Written by the fragment.
        case output
    }
}

extension EngineError: CustomStringConvertible {
    /// A sentence on what happened and why, and one on what to do.
    public var description: String {
        switch self {
        case .unavailable(let reason):
            """
            OpenVINO could not be started: \(reason). \
            Run Tools/setup, or install OpenVINO with its CPU plugin.
            """
        case .badSetting(let name, let value, let allowed):
            "\(name) is \(value). Choose \(allowed.lowerBound) to \(allowed.upperBound)."
        case .outOfMemory(let byteCount):
            "There is no memory for \(byteCount) bytes of weights. Give the node a smaller budget."
        case .unreadable(let reason):
            """
            The engine cannot read the fragment: \(reason). \
            If the model came through 'tessera model add', please report this.
            """
        case .dynamicShape(let tensor):
            "The shape of tensor '\(tensor)' is not fixed. Import the model with a given shape."
        case .emptyTensor(let tensor):
            "Tensor '\(tensor)' has no element. Import the model with extents of at least 1."
        case .unsupportedType(let tensor, let code):
            """
            Tensor '\(tensor)' has elements of OpenVINO's type \(code), which Tessera cannot carry. \
            Convert it inside the model to a number type.
            """
        case .compilation(let reason):
            "The engine cannot compile the fragment: \(reason). Check 'tessera doctor'."
        case .wrongTensorCount(let direction, let expected, let given):
            "The fragment has \(expected) \(direction.rawValue)s but \(given) were given. Give all."
        case .wrongByteCount(let tensor, let expected, let given):
            """
            Tensor '\(tensor)' takes \(expected) bytes but \(given) were given. \
            Check its type and shape.
            """
        case .execution(let reason):
            "The engine failed while running a fragment: \(reason). The request may be tried again."
        }
    }
}
