/// How much more memory this process may take before the kernel kills it: what its control groups
/// leave, and those above them.
///
/// The budget of `--memory` is what the operator allows; a container or a service may allow less, and
/// the agent's own needs, the cost of compiling and other processes of the group count there too.
enum MemoryRoom {
    /// Left free beside what is asked for: buffers of requests and of connections take it meanwhile.
    static let marginBytes = 16 << 20
    /// A limit from here on is the kernel's way to say that there is none.
    private static let limitBytesMax = 1 << 60

    /// Refuses what has no room.
    static func admit(_ bytes: Int) throws(EngineRoomError) {
        guard let free = freeBytes(reading: ControlGroup.file) else { return }
        guard bytes <= free - marginBytes else {
            throw .noRoom(neededBytes: bytes, freeBytes: max(0, free - marginBytes))
        }
    }

    /// Bytes that may still be taken; nil where there is no limit, or none that can be read.
    static func freeBytes(reading file: (String) -> String?) -> Int? {
        ControlGroup.folders(of: "memory", reading: file).compactMap { group in
            freeBytes(in: group.path, group.version, file)
        }.min()
    }

    private static func freeBytes(
        in folder: String, _ version: ControlGroup.Version, _ file: (String) -> String?
    ) -> Int? {
        let names: (limit: String, used: String, cache: [Substring])
        switch version {
        case .one:
            names = (
                "memory.limit_in_bytes", "memory.usage_in_bytes",
                ["total_inactive_file", "total_active_file"]
            )
        case .two: names = ("memory.max", "memory.current", ["inactive_file", "active_file"])
        }
        guard let limit = file("\(folder)/\(names.limit)").flatMap(ControlGroup.number),
            limit < limitBytesMax,
            let used = file("\(folder)/\(names.used)").flatMap(ControlGroup.number)
        else { return nil }
        // Pages of files are given back when memory is needed.
        var cache = 0
        for line in (file("\(folder)/memory.stat") ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, names.cache.contains(words[0]) { cache += Int(words[1]) ?? 0 }
        }
        return limit - used + min(cache, used)
    }
}
