public import TesseraCore

/// What packing for links may change of a model's answers, as measured.
public struct CodecsDocument: Codable, Sendable, Equatable {
    /// What was measured of one tensor.
    public struct Tensor: Codable, Sendable, Equatable {
        /// Its number in the model's outline.
        public var tensor: Int
        /// What lossless packing leaves of its bytes, in thousandths.
        public var losslessPerMille: Int
        /// The codecs that change values.
        public var tried: [Trial]
    }

    /// What one codec does to the answers at one tensor.
    public struct Trial: Codable, Sendable, Equatable {
        /// `f16`, `bf16` or `int8`.
        public var codec: String
        /// What the answers lose by it alone, in millionths.
        public var dropPerMillion: Int
        /// Whether it may be used.
        public var isAllowed: Bool
    }

    /// `top-class` or `relative-error`.
    public var measure: String
    /// What the answers may lose, in millionths.
    public var maxDropPerMillion: Int
    /// What they lose with all that is allowed at once, in millionths.
    public var dropPerMillion: Int
    /// How many items were measured.
    public var items: Int
    /// The tensors, ascending.
    public var tensors: [Tensor]

    /// More items than are ever measured.
    private static let itemsMax = 1 << 24
    /// More tensors than models have.
    private static let tensorMax = 1 << 20

    /// Writes an allowance.
    public init(_ allowance: CodecAllowance) {
        measure = "\(allowance.measure)"
        maxDropPerMillion = allowance.maxDropPerMillion
        dropPerMillion = allowance.dropPerMillion
        items = allowance.itemCount
        tensors = allowance.tensors.map { tensor in
            Tensor(
                tensor: tensor.tensor, losslessPerMille: tensor.losslessPerMille,
                tried: tensor.tried.map {
                    Trial(
                        codec: "\($0.codec)", dropPerMillion: $0.dropPerMillion,
                        isAllowed: $0.isAllowed)
                })
        }
    }

    /// The allowance.
    ///
    /// - Throws: `ControlError.invalid` with the field and what is allowed.
    public func allowance() throws(ControlError) -> CodecAllowance {
        func check(_ value: Int, _ most: Int, _ name: String) throws(ControlError) -> Int {
            guard (0...most).contains(value) else {
                throw .invalid(reason: "codecs: \(name) is not from 0 to \(most)")
            }
            return value
        }
        guard
            let measure = CodecAllowance.Measure.allCases.first(where: {
                "\($0)" == self.measure
            })
        else {
            throw .invalid(
                reason: "codecs: measure \"\(self.measure.prefix(40))\" is not one of "
                    + CodecAllowance.Measure.allCases.map { "\($0)" }.joined(separator: ", "))
        }
        guard tensors.count <= CodecAllowance.tensorsMax else {
            throw .invalid(
                reason: "codecs: more than \(CodecAllowance.tensorsMax) tensors are given")
        }
        var result: [CodecAllowance.Tensor] = []
        for tensor in tensors {
            let index = try check(tensor.tensor, Self.tensorMax, "tensor")
            guard result.last.map({ $0.tensor < index }) ?? true else {
                throw .invalid(reason: "codecs: tensors are not in ascending order")
            }
            result.append(
                CodecAllowance.Tensor(
                    tensor: index,
                    losslessPerMille: try check(
                        tensor.losslessPerMille, 1_000, "losslessPerMille"),
                    tried: try tensor.trials()))
        }
        return CodecAllowance(
            measure: measure,
            maxDropPerMillion: try check(
                maxDropPerMillion, CodecAllowance.whole, "maxDropPerMillion"),
            dropPerMillion: try check(dropPerMillion, CodecAllowance.whole, "dropPerMillion"),
            itemCount: try check(items, Self.itemsMax, "items"), tensors: result)
    }
}

extension CodecsDocument.Tensor {
    fileprivate func trials() throws(ControlError) -> [CodecAllowance.Trial] {
        var result: [CodecAllowance.Trial] = []
        for trial in tried {
            guard let codec = Codec(name: trial.codec), codec.isLossy,
                result.last.map({ $0.codec < codec }) ?? true,
                (0...CodecAllowance.whole).contains(trial.dropPerMillion)
            else {
                throw .invalid(
                    reason:
                        "codecs: tried is not a list of f16, bf16 and int8, in this order, with "
                        + "a dropPerMillion from 0 to \(CodecAllowance.whole)")
            }
            result.append(
                CodecAllowance.Trial(
                    codec: codec, dropPerMillion: trial.dropPerMillion,
                    isAllowed: trial.isAllowed))
        }
        return result
    }
}

extension CodecsDocument {
    /// Reads what a client sent.
    init(json: JSONValue) throws(APIError) {
        func number(_ value: JSONValue, _ name: String) throws(APIError) -> Int {
            guard let number = value[name]?.integerValue else {
                throw .badRequest("settings: codecs: \(name) is not a whole number")
            }
            return Int(clamping: number)
        }
        func list(_ value: JSONValue, _ name: String) throws(APIError) -> [JSONValue] {
            guard let list = value[name]?.arrayValue else {
                throw .badRequest("settings: codecs: \(name) is not a list")
            }
            return list
        }
        func text(_ value: JSONValue, _ name: String) throws(APIError) -> String {
            guard let text = value[name]?.stringValue else {
                throw .badRequest("settings: codecs: \(name) is not a text")
            }
            return text
        }
        measure = try text(json, "measure")
        maxDropPerMillion = try number(json, "maxDropPerMillion")
        dropPerMillion = try number(json, "dropPerMillion")
        items = try number(json, "items")
        tensors = []
        for tensor in try list(json, "tensors") {
            var tried: [Trial] = []
            for trial in try list(tensor, "tried") {
                guard let isAllowed = trial["isAllowed"]?.booleanValue else {
                    throw .badRequest("settings: codecs: isAllowed is not true or false")
                }
                tried.append(
                    Trial(
                        codec: try text(trial, "codec"),
                        dropPerMillion: try number(trial, "dropPerMillion"),
                        isAllowed: isAllowed))
            }
            tensors.append(
                Tensor(
                    tensor: try number(tensor, "tensor"),
                    losslessPerMille: try number(tensor, "losslessPerMille"), tried: tried))
        }
    }
}
