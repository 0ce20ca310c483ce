import TesseraCore
import TesseraEngine

/// What the engine measured of itself, kept on disk, so that a node need not measure everything at
/// each start.
///
/// It holds for one processor, one engine and one number of threads. Rates are those without a quota,
/// which is counted apart.
struct SpeedFile: Sendable {
    /// The file has a few lines.
    private static let bytesMax = 1 << 14
    private static let title = "tessera speed 1"

    let path: String

    /// What was kept for a key; nil if there is no such file, or another key in it.
    func read(key: String) throws -> EngineSpeed? {
        guard StoredFile.exists(path) else { return nil }
        let bytes = try StoredFile.read(path, bytesMax: Self.bytesMax).bytes
        return Self.speed(of: String(decoding: bytes, as: UTF8.self), key: key)
    }

    /// Replaces what was kept.
    func write(_ speed: EngineSpeed, key: String) throws {
        try StoredFile.replace(path, bytes: Array(Self.text(of: speed, key: key).utf8))
    }

    static func text(of speed: EngineSpeed, key: String) -> String {
        var lines = [
            title, "key \(key)", "operations \(speed.operationsPerMicrosecond)",
            "moved \(speed.movedBytesPerMicrosecond)",
        ]
        lines += speed.rates.map {
            "family \($0.family.rawValue) \($0.operationsPerMicrosecond)"
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads a text; nil if it is of another version or key, or makes no sense.
    static func speed(of text: String, key: String) -> EngineSpeed? {
        let lines = text.split(separator: "\n")
        guard lines.count >= 4, lines[0] == title, lines[1] == "key \(key)" else { return nil }
        func figure(_ line: Substring, _ name: String) -> UInt64? {
            let words = line.split(separator: " ")
            guard words.count == 2, words[0] == name, let value = UInt64(words[1]), value > 0
            else { return nil }
            return value
        }
        guard let operations = figure(lines[2], "operations"),
            let moved = figure(lines[3], "moved")
        else { return nil }
        var rates: [OperatorRate] = []
        for line in lines.dropFirst(4) {
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == "family",
                let family = UInt8(words[1]).flatMap(OperatorFamily.init(rawValue:)),
                let rate = UInt64(words[2]), rate > 0
            else { return nil }
            rates.append(OperatorRate(family: family, operationsPerMicrosecond: rate))
        }
        return EngineSpeed(
            operationsPerMicrosecond: operations, rates: rates.sorted { $0.family < $1.family },
            movedBytesPerMicrosecond: moved)
    }

    /// What the figures hold for.
    static func key(fingerprint: EngineFingerprint, threads: Int) -> String {
        let processor =
            (ControlGroup.file("/proc/cpuinfo") ?? "").split(separator: "\n")
            .first { $0.hasPrefix("model name") || $0.hasPrefix("Hardware") } ?? "unknown"
        let words = processor.split { $0 == "\t" || $0 == " " || $0 == ":" }
        return "\(threads) threads; \(words.joined(separator: " ")); \(fingerprint.text)"
    }
}
