import TesseraCore

/// The items that `infer` sends: arrays from files, cut into what a model takes at once.
struct InferInputs: Sendable {
    /// One input of the model.
    struct Input: Sendable {
        /// What the model says of it.
        var metadata: KServe.TensorMetadata
        /// The elements of all items, one after the other.
        var array: NpyArray
        /// How many items the array has; one serves all items of the other inputs.
        var itemCount: Int
        /// The bytes of one item.
        var itemByteCount: Int

        /// The bytes of an item.
        func bytes(ofItem item: Int) -> ArraySlice<UInt8> {
            let start = array.bytes.startIndex + (itemCount == 1 ? 0 : item * itemByteCount)
            return array.bytes[start..<(start + itemByteCount)]
        }
    }

    /// One for each input of the model, in its order.
    let inputs: [Input]
    /// How many items there are.
    let itemCount: Int

    /// The longest input file: as much as a machine of the size that this runs on may hold.
    private static let fileBytesMax = 16 << 30

    /// Reads the files of `NAME=FILE` arguments and fits them to the model.
    init(arguments: [(name: String, path: String)], model: KServe.ModelMetadata) throws {
        let names = model.inputs.map(\.name)
        for argument in arguments where !names.contains(argument.name) {
            throw CommandFailure(
                "model \(model.name) has no input '\(argument.name)'; it has "
                    + Figures.printable(names.joined(separator: ", ")) + ".", code: .usage)
        }
        inputs = try model.inputs.map { metadata in
            guard let argument = arguments.first(where: { $0.name == metadata.name }) else {
                throw CommandFailure(
                    "input '\(Figures.printable(metadata.name))' is missing; add --input "
                        + "\(metadata.name)=FILE.npy.", code: .usage)
            }
            let array = try Self.array(in: argument.path)
            return try Self.input(array, metadata: metadata, path: argument.path)
        }
        let counts = Set(inputs.map(\.itemCount)).subtracting([1])
        guard counts.count <= 1 else {
            let list = inputs.map { "\($0.metadata.name) has \($0.itemCount)" }
            throw CommandFailure(
                "the inputs have different numbers of items: " + list.joined(separator: ", ")
                    + ".", code: .usage)
        }
        itemCount = counts.first ?? 1
    }

    /// The inputs of one item.
    func item(_ item: Int) -> [(metadata: KServe.TensorMetadata, bytes: ArraySlice<UInt8>)] {
        inputs.map { ($0.metadata, $0.bytes(ofItem: item)) }
    }

    static func array(in path: String) throws -> NpyArray {
        let bytes = try Files.read(path, bytesMax: fileBytesMax, what: "the input file")
        do {
            return try NpyArray(file: bytes)
        } catch {
            throw CommandFailure("the input file \(path) cannot be used: \(error).")
        }
    }

    static func input(
        _ array: NpyArray, metadata: KServe.TensorMetadata, path: String
    ) throws -> Input {
        guard let type = KServe.type(named: metadata.datatype) else {
            throw CommandFailure(
                "input '\(metadata.name)' has the type \(metadata.datatype), which this version "
                    + "does not know.")
        }
        // NumPy has no bfloat16; its bits come as integers.
        guard array.type == type || type == .bfloat16 && array.type == .uint16 else {
            throw CommandFailure(
                "input '\(metadata.name)' takes elements of type "
                    + "\(NpyArray.name(of: type)), and \(path) has "
                    + "\(NpyArray.name(of: array.type)); convert it with numpy.astype.",
                code: .usage)
        }
        let shape = metadata.shape
        var itemCount = 1
        if array.shape != shape {
            guard shape.first == 1, array.shape.count == shape.count,
                array.shape.dropFirst() == shape.dropFirst(), let first = array.shape.first,
                first > 0
            else {
                throw CommandFailure(
                    "input '\(metadata.name)' takes the shape \(shape)"
                        + (shape.first == 1 ? ", or more items along the first axis" : "")
                        + ", and \(path) has \(array.shape).", code: .usage)
            }
            itemCount = first
        }
        return Input(
            metadata: metadata, array: array, itemCount: itemCount,
            itemByteCount: array.bytes.count / itemCount)
    }
}
