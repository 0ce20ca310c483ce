/// A model as a graph of layers, after import: static shapes, and every layer after those it reads.
///
/// It holds what a fragment needs to be written again and nothing else; notes of the import
/// (`rt_info`) are dropped. The name of a `Parameter` is the name of the model's input, the name of
/// a `Result` that of its output; inputs and outputs stand in the order of these layers.
public struct ModelGraph: Hashable, Sendable {
    /// A tensor that a layer makes.
    public struct Port: Hashable, Sendable {
        /// The type of an element.
        public var precision: Precision
        /// The extent of each axis.
        public var shape: [Int]

        /// Makes a port.
        public init(precision: Precision, shape: [Int]) {
            self.precision = precision
            self.shape = shape
        }

        /// How many elements; checked not to overflow when the graph was validated.
        public var elementCount: Int { shape.reduce(1, *) }
        /// How many bytes, packed.
        public var byteCount: Int { (elementCount * precision.bitCount + 7) / 8 }
    }

    /// Where an input comes from.
    public struct Source: Hashable, Sendable {
        /// Index into `layers`.
        public var layer: Int
        /// Index into that layer's outputs.
        public var port: Int

        /// Makes a source.
        public init(layer: Int, port: Int) {
            self.layer = layer
            self.port = port
        }
    }

    /// Where the bytes of a constant are.
    public enum Constant: Hashable, Sendable {
        /// In the weights file of the import.
        case range(offset: Int, byteCount: Int)
        /// In a blob, by its index in the manifest.
        case blob(Int)
        /// Here.
        case inline([UInt8])
    }

    /// A named setting of a layer, as text.
    public struct Attribute: Hashable, Sendable {
        /// The name.
        public var name: String
        /// The value.
        public var value: String

        /// Makes an attribute.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// One operator, constant, input or output.
    public struct Layer: Hashable, Sendable {
        /// The name, unique in the graph.
        public var name: String
        /// The operator type as IR spells it, such as `Convolution`.
        public var type: String
        /// The operator set that defines it, such as 1 for `opset1`.
        public var opset: Int
        /// Ascending by name; without types and shapes of inputs and constants.
        public var attributes: [Attribute]
        /// What it reads.
        public var inputs: [Source]
        /// What it makes.
        public var outputs: [Port]
        /// The bytes; exactly layers of type `Const` have them.
        public var constant: Constant?

        /// Makes a layer.
        public init(
            name: String, type: String, opset: Int, attributes: [Attribute] = [],
            inputs: [Source], outputs: [Port], constant: Constant? = nil
        ) {
            self.name = name
            self.type = type
            self.opset = opset
            self.attributes = attributes
            self.inputs = inputs
            self.outputs = outputs
            self.constant = constant
        }

        /// The value of an attribute, if it is there.
        public func attribute(_ name: String) -> String? {
            attributes.first { $0.name == name }?.value
        }
    }

    /// The layers, each after those that it reads.
    public var layers: [Layer]

    /// Makes a graph.
    public init(layers: [Layer]) { self.layers = layers }

    /// The port that a source names.
    public func port(_ source: Source) -> Port { layers[source.layer].outputs[source.port] }
}

extension ModelGraph.Layer {
    /// The type of the layers that are the model's inputs.
    static let parameterType = "Parameter"
    /// The type of the layers that are the model's outputs.
    static let resultType = "Result"
    /// The type of the layers that hold constants.
    static let constantType = "Const"

    var isParameter: Bool { type == Self.parameterType }
    var isResult: Bool { type == Self.resultType }
    var isConstant: Bool { type == Self.constantType }
}

extension ModelGraph {
    /// For each layer, whether its value does not depend on any input of the model: constants, and
    /// what is computed from constants only (such as the decompression of weights).
    func constantLayers() -> [Bool] {
        var result: [Bool] = []
        result.reserveCapacity(layers.count)
        for layer in layers {
            result.append(
                layer.isConstant
                    || (!layer.inputs.isEmpty && layer.inputs.allSatisfy { result[$0.layer] }))
        }
        return result
    }

    /// For each layer, the layers that read it, ascending, without doubles.
    func consumers() -> [[Int]] {
        var result = [[Int]](repeating: [], count: layers.count)
        for (index, layer) in layers.enumerated() {
            for source in layer.inputs where result[source.layer].last != index {
                result[source.layer].append(index)
            }
        }
        return result
    }
}
