/// What grouping and costs need to know of an operator type.
enum OperatorKind {
    /// Runs element by element: the engine appends it to the kernel that makes its input.
    case elementwise
    /// Only names, moves or reorders the elements of one tensor.
    case movement
    /// Cheap and part of patterns with side branches, but nothing that is appended to a kernel.
    case light
    /// Everything else.
    case heavy

    /// The kind of a type as IR spells it.
    static func of(_ type: String) -> OperatorKind {
        if elementwiseTypes.contains(type) { return .elementwise }
        if movementTypes.contains(type) { return .movement }
        if lightTypes.contains(type) { return .light }
        return .heavy
    }

    private static let elementwiseTypes: Set<String> = [
        "Abs", "Acos", "Acosh", "Add", "Asin", "Asinh", "Atan", "Atanh", "BatchNormInference",
        "Ceiling", "Clamp", "Convert", "Cos", "Cosh", "Divide", "Elu", "Equal", "Erf", "Exp",
        "FakeConvert", "FakeQuantize", "Floor", "FloorMod", "Gelu", "Greater", "GreaterEqual",
        "HSigmoid", "HSwish", "HardSigmoid", "Identity", "IsFinite", "IsInf", "IsNaN", "Less",
        "LessEqual", "Log", "LogicalAnd", "LogicalNot", "LogicalOr", "LogicalXor", "Maximum",
        "Minimum", "Mish", "Mod", "Multiply", "Negative", "NotEqual", "PReLU", "Power", "ReLU",
        "Round", "Select", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "SoftPlus", "SoftSign",
        "Sqrt", "SquaredDifference", "Subtract", "Swish", "Tan", "Tanh",
    ]
    private static let movementTypes: Set<String> = [
        "Reshape", "Squeeze", "Transpose", "Unsqueeze",
    ]
    private static let lightTypes: Set<String> = [
        "Broadcast", "Concat", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin",
        "ReduceProd", "ReduceSum", "Slice", "Split", "StridedSlice", "Tile", "VariadicSplit",
    ]
}
