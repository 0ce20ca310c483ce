/// Why a model, a manifest or a request to cut one is refused: what happened, why, what to do.
public enum ModelError: Error, Hashable, Sendable {
    /// The graph's XML is not what OpenVINO writes.
    case malformed(reason: String, line: Int)
    /// A count or size is beyond a limit of `ModelLimits`.
    case limit(what: String, value: Int, maximum: Int)
    /// An operator that the mesh does not run.
    case unsupportedOperator(type: String, layer: String, reason: String)
    /// An operator carries an attribute that its kind does not have.
    case unknownAttribute(attribute: String, type: String, layer: String)
    /// An element type that cannot be used there.
    case unsupportedType(name: String, layer: String)
    /// A shape that is known only when the model runs.
    case dynamicShape(layer: String)
    /// The parts of the graph do not fit together.
    case inconsistent(reason: String, layer: String)
    /// A constant does not fit the weights file.
    case weights(reason: String, layer: String)
    /// An output that no input has a part in.
    case constantOutput(name: String)
    /// The bytes are no manifest that this build can read.
    case invalidManifest(reason: String, offset: Int)
    /// A range of operators that the model does not have.
    case invalidRange(lower: Int, upper: Int, count: Int)
    /// Rows that a range of operators cannot make: outside its output, or it is not split by rows
    /// at all and `count` is nil.
    case invalidRows(lower: Int, upper: Int, count: Int?)
    /// A file could not be read.
    case unreadable(path: String, reason: String)
}

extension ModelError: CustomStringConvertible {
    /// What happened, why, and what to do.
    public var description: String {
        switch self {
        case .malformed(let reason, let line):
            "The model graph is not valid OpenVINO IR at line \(line): \(reason). "
                + "Import the original model file again."
        case .limit(let what, let value, let maximum):
            "The model has \(value) \(what); at most \(maximum) are accepted. "
                + "Use a smaller model or split it."
        case .unsupportedOperator(let type, let layer, let reason):
            "Operator \(type) ('\(layer)') cannot run on the mesh: \(reason). "
                + "Export the model without it."
        case .unknownAttribute(let attribute, let type, let layer):
            "Operator \(type) ('\(layer)') has the unknown attribute '\(attribute)'. "
                + "Import the model with the OpenVINO version that this build uses."
        case .unsupportedType(let name, let layer):
            "'\(layer)' has elements of type \(name), which cannot be used there. "
                + "Convert the tensor to a number type inside the model."
        case .dynamicShape(let layer):
            "'\(layer)' has a shape that is not fixed. Give the shapes of all inputs at import; "
                + "operators whose output shape depends on values cannot run on the mesh."
        case .inconsistent(let reason, let layer):
            "The model graph does not fit together at '\(layer)': \(reason). "
                + "Import the original model file again."
        case .weights(let reason, let layer):
            "Constant '\(layer)' does not fit the weights file: \(reason). "
                + "Import the original model file again."
        case .constantOutput(let name):
            "Output '\(name)' does not depend on any input. Remove it from the model."
        case .invalidManifest(let reason, let offset):
            "The manifest is not valid at byte \(offset): \(reason). "
                + "Fetch it again, or add the model again with this version."
        case .invalidRange(let lower, let upper, let count):
            "There is no fragment of operators \(lower)..<\(upper): the model has \(count) "
                + "operators and a fragment at least one. The plan does not belong to this model."
        case .invalidRows(let lower, let upper, let count):
            "There is no fragment of rows \(lower)..<\(upper): "
                + (count.map { "the operators make \($0) rows and a fragment at least one. " }
                    ?? "the operators cannot be split by rows. ")
                + "The plan does not belong to this model."
        case .unreadable(let path, let reason):
            "'\(path)' cannot be read: \(reason). Check the path and who may read it."
        }
    }
}
