/// Reads the arrays of NumPy's `.npz` files: ZIP archives of `.npy` files that are not compressed.
enum NpzFile {
    /// Arrays in one file: more than any model has inputs.
    static let arraysMax = 1_024

    /// Why a file is not one.
    enum Fault: Error, Equatable, CustomStringConvertible {
        /// It does not end as ZIP archives do, or its parts do not fit together.
        case notZip
        /// An array is compressed.
        case compressed(String)
        /// There are more arrays than are read.
        case tooMany(Int)

        /// What is wrong and what to do.
        var description: String {
            switch self {
            case .notZip: "it is no .npz file; write it with numpy.savez"
            case .compressed(let name):
                "array '\(name)' is compressed; write it with numpy.savez, not savez_compressed"
            case .tooMany(let count): "it has \(count) arrays; \(NpzFile.arraysMax) are read"
            }
        }
    }

    private static let endMark: [UInt8] = [0x50, 0x4B, 0x05, 0x06]
    private static let entryMark: UInt32 = 0x0201_4B50
    private static let localMark: UInt32 = 0x0403_4B50
    /// The end of an archive without a comment, an entry of its directory and a local header.
    private static let (endSize, entrySize, localSize) = (22, 46, 30)
    /// The longest comment that may follow the end.
    private static let commentMax = 65_535

    /// The arrays with their names, as they stand in the file.
    static func arrays(in file: [UInt8]) throws -> [(name: String, array: NpyArray)] {
        let from = max(0, file.count - endSize - commentMax)
        guard file.count >= endSize,
            let end = (from...(file.count - endSize)).last(where: {
                file[$0..<($0 + 4)].elementsEqual(endMark)
            })
        else { throw Fault.notZip }
        func number(_ place: Int, _ count: Int) throws -> Int {
            guard place >= 0, place + count <= file.count else { throw Fault.notZip }
            return (0..<count).reduce(0) { $0 | Int(file[place + $1]) << (8 * $1) }
        }
        let count = try number(end + 10, 2)
        guard count <= arraysMax else { throw Fault.tooMany(count) }
        var place = try number(end + 16, 4)
        var result: [(name: String, array: NpyArray)] = []
        for _ in 0..<count {
            guard try number(place, 4) == entryMark else { throw Fault.notZip }
            let (method, size) = (try number(place + 10, 2), try number(place + 24, 4))
            let lengths = try (28...32).filter { $0 % 2 == 0 }.map { try number(place + $0, 2) }
            let local = try number(place + 42, 4)
            let nameStart = place + entrySize
            guard nameStart + lengths[0] <= file.count else { throw Fault.notZip }
            var name = String(decoding: file[nameStart..<(nameStart + lengths[0])], as: UTF8.self)
            if name.hasSuffix(".npy") { name.removeLast(4) }
            guard method == 0 else { throw Fault.compressed(name) }
            guard try number(local, 4) == localMark else { throw Fault.notZip }
            let start =
                local + localSize + (try number(local + 26, 2)) + (try number(local + 28, 2))
            guard start <= file.count, size <= file.count - start else { throw Fault.notZip }
            result.append((name, try NpyArray(file: Array(file[start..<(start + size)]))))
            place = nameStart + lengths.reduce(0, +)
        }
        return result
    }
}
