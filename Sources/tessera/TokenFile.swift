import TesseraAPI
import TesseraNode

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The file of an agent's tokens: a line for each, with its name, its right, the SHA-256 of its text
/// and the time when it was made.
///
/// The tokens themselves are nowhere.
struct TokenFile {
    /// A token and when it was made.
    struct Entry: Equatable, Sendable {
        var token: APIToken
        /// As ISO 8601 writes it.
        var made: String
    }

    /// One for every program that calls; each is compared with what a call presents.
    static let tokensMax = 256
    /// As long as an agent's name may be.
    static let nameBytesMax = 63
    private static let bytesMax = 64 << 10
    private static let digestBytes = 32

    /// Where it is.
    let path: String

    /// The file in an agent's data folder.
    init(dataFolder: String) { path = dataFolder + "/api.tokens" }

    /// Whether it is there.
    var isThere: Bool { access(path, F_OK) == 0 }

    /// What is in it; nothing if it is not there.
    func read() throws -> [Entry] {
        guard isThere else { return [] }
        let bytes = try Files.read(path, bytesMax: Self.bytesMax, what: "the file of tokens")
        guard let stamp = FileStamp(path), stamp.mode & 0o022 == 0 else {
            throw CommandFailure(
                "others than the owner may write to \(path), and so give themselves rights. Look "
                    + "who made the tokens in it, then run `chmod 600 \(path)`.")
        }
        return try parse(String(decoding: bytes, as: UTF8.self))
    }

    /// Reads the lines of such a file.
    func parse(_ text: String) throws -> [Entry] {
        var entries: [Entry] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let parts = line.split(separator: " ").map(String.init)
            guard parts.count == 4, Self.isName(parts[0]), let right = APIRight(rawValue: parts[1]),
                let digest = Self.bytes(hexadecimal: parts[2]), digest.count == Self.digestBytes
            else {
                throw CommandFailure(
                    "line \(index + 1) of \(path) is not NAME RIGHT SHA256 TIME. Change the file "
                        + "with `tessera token` only; remove the line to mend it.")
            }
            guard !entries.contains(where: { $0.token.name == parts[0] }) else {
                throw CommandFailure(
                    "line \(index + 1) of \(path) has the name \(parts[0]) a second time. Remove "
                        + "one of both lines.")
            }
            entries.append(
                Entry(
                    token: APIToken(name: parts[0], right: right, digest: digest), made: parts[3]))
        }
        guard entries.count <= Self.tokensMax else {
            throw CommandFailure("\(path) has more than \(Self.tokensMax) tokens. Remove some.")
        }
        return entries
    }

    /// The lines of such a file.
    static func text(_ entries: [Entry]) -> String {
        entries.map { entry in
            let digest = hexadecimal(entry.token.digest)
            return "\(entry.token.name) \(entry.token.right.rawValue) \(digest) \(entry.made)\n"
        }.joined()
    }

    /// Changes what is in it, one process at a time; the file then belongs to the agent's user.
    func change(_ body: (inout [Entry]) throws -> Void) throws {
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        do {
            try PrivateFile.makeFolder(folder)
        } catch {
            throw CommandFailure("\(error)")
        }
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure(
                "\(folder) cannot be opened: \(Files.systemReason()). Run this as the user who "
                    + "runs the agent, or name the agent's data folder with --data-dir.")
        }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else {
            throw CommandFailure("\(folder) cannot be locked: \(Files.systemReason()).")
        }
        var entries = try read()
        try body(&entries)
        do {
            // Root may look after an agent that runs as another user.
            try PrivateFile.write(
                path, Array(Self.text(entries).utf8), isOfFoldersOwner: true)
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    /// Whether a token may be called so.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= nameBytesMax
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "-_.".utf8.contains(byte)
                }
            }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private static func bytes(hexadecimal text: String) -> [UInt8]? {
        let values = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard values.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: values.count, by: 2) {
            guard let high = values[index], let low = values[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
