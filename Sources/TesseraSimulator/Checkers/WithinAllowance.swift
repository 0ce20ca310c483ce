import TesseraCore

/// What changes values is used only where the model's settings allow it.
enum WithinAllowance {
    static func check(
        _ codec: Codec, tensor: Int, _ allowance: CodecAllowance?, at node: Int, _ time: Timestamp
    ) throws(Violation) {
        guard codec.isLossy, allowance?.allowed(tensor).contains(codec) != true else { return }
        throw Violation(
            checker: "packing stays within the allowance", at: time,
            what: "node \(node) packs tensor \(tensor) by codec \(codec), which its model does not "
                + "allow")
    }
}
