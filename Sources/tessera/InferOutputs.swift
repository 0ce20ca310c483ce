import TesseraCore

/// The answers to all items, ready to be written: one array for each output.
struct InferOutputs {
    private let arrays: [(name: String, array: NpyArray)]

    /// Stacks the answers; nothing is written if one is missing.
    init(_ answers: [[KServe.Output]?]) throws {
        let complete = answers.compactMap { $0 }
        guard complete.count == answers.count, let first = complete.first else {
            arrays = []
            return
        }
        arrays = try first.indices.map { index in
            let name = first[index].name
            var bytes: [UInt8] = []
            for answer in complete {
                guard answer.count == first.count, answer[index].name == name,
                    answer[index].array.type == first[index].array.type,
                    answer[index].array.shape == first[index].array.shape
                else {
                    throw CommandFailure(
                        "the model answered with different outputs; was it replaced meanwhile?")
                }
                bytes += answer[index].array.bytes
            }
            return (name, Self.array(first[index].array, count: complete.count, bytes: bytes))
        }
    }

    /// Items go along the first axis if that is the batch of one, else along a new one.
    private static func array(_ item: NpyArray, count: Int, bytes: [UInt8]) -> NpyArray {
        var shape = item.shape
        if shape.first == 1 {
            shape[0] = count
        } else if count > 1 {
            shape.insert(count, at: 0)
        }
        return NpyArray(type: item.type, shape: shape, bytes: bytes[...])
    }

    /// Writes one file per output; gives their paths.
    func write(to folder: String) throws -> [String] {
        var taken: Set<String> = []
        return try arrays.map { name, array in
            let path = folder + "/" + Self.fileName(name, &taken) + ".npy"
            try Files.write(path, array.file)
            return path
        }
    }

    /// A name of a tensor as the name of a file: whatever it holds, it stays in the folder.
    static func fileName(_ name: String, _ taken: inout Set<String>) -> String {
        var safe = String(
            name.prefix(100).map { character in
                character.isASCII && (character.isLetter || character.isNumber)
                    || "-_.".contains(character) ? character : "_"
            })
        if safe.isEmpty || safe.hasPrefix(".") { safe = "_" + safe }
        var result = safe
        var number = 2
        while !taken.insert(result).inserted {
            result = "\(safe)-\(number)"
            number += 1
        }
        return result
    }
}
