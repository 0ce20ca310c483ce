/// Archives of NumPy files, for tests of what reads them.
enum NpzArchive {
    /// An archive as numpy.savez writes it, but for dates and checksums, which are not read.
    static func bytes(_ entries: [(name: String, bytes: [UInt8])], method: UInt8 = 0) -> [UInt8] {
        func number(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for (name, bytes) in entries {
            let start = file.count
            let size = number(bytes.count, 4)
            let common = [20, 0, 0, 0, method, 0, 0, 0, 0, 0] + number(0, 4) + size + size
            file += [0x50, 0x4B, 3, 4] + common + number(name.utf8.count, 2) + number(4, 2)
            file += Array(name.utf8) + [0, 0, 0, 0] + bytes
            directory += [0x50, 0x4B, 1, 2, 20, 0] + common + number(name.utf8.count, 2)
            directory += number(0, 12) + number(start, 4) + Array(name.utf8)
        }
        let end = number(entries.count, 2) + number(entries.count, 2)
        return file + directory + [0x50, 0x4B, 5, 6] + number(0, 4) + end
            + number(directory.count, 4) + number(file.count, 4) + number(0, 2)
    }
}
