import Crypto

/// Why a mesh secret was refused.
public enum MeshSecretError: Error, Hashable, Sendable {
    /// The text does not begin with `tessera1-`.
    case unknownForm
    /// The text has another number of characters than a secret of 256 bits.
    case wrongLength(characters: Int, expected: Int)
    /// A character that the text form does not use.
    case badCharacter(Character)
    /// The checksum does not match: a character is wrong or two are swapped.
    case badChecksum
    /// The bits are not random: too few different bytes.
    case weak
    /// The secret's file cannot be used.
    case file(StoredFileError)
    /// Other users of the machine may read or change the secret's file.
    case exposed(path: String, mode: String)
    /// The secrets' file has more lines than the one that is used and one that is accepted.
    case tooMany(Int)
    /// The new secret is the one that is used.
    case twice
    /// Another secret is accepted already.
    case underWay
    /// No other secret is accepted.
    case notUnderWay
}

extension MeshSecretError: CustomStringConvertible {
    /// What happened and what to do.
    public var description: String {
        switch self {
        case .unknownForm:
            "The mesh secret does not begin with \"\(MeshSecret.prefix)\". "
                + "Make one with `tessera mesh secret` and give the same one to every agent."
        case .wrongLength(let characters, let expected):
            "The mesh secret has \(characters) characters and needs \(expected): a part is missing "
                + "or doubled. Copy the whole line that `tessera mesh secret` printed."
        case .badCharacter(let character):
            "The mesh secret has the character \"\(character)\"; only a-z and 2-7 may follow "
                + "\"\(MeshSecret.prefix)\". Copy it again."
        case .badChecksum:
            "The mesh secret has a typing error: its checksum does not match. Copy it again."
        case .weak:
            "The mesh secret is not random. Only secrets of 256 random bits are accepted: make "
                + "one with `tessera mesh secret`."
        case .file(let error): "The mesh secret cannot be read. \(error)"
        case .exposed(let path, let mode):
            "The file \(path) with the mesh secret can be read or changed by other users (mode "
                + "\(mode)). Run `chmod 600 \(path)`; if others may have read it, make a new "
                + "secret."
        case .tooMany(let count):
            "The file with the mesh secret has \(count) lines. It may have two: the secret that is "
                + "used, and one that is accepted as well while the mesh exchanges them."
        case .twice:
            "The new mesh secret is the one that this device uses. Make another one with "
                + "`tessera mesh secret`."
        case .underWay:
            "This device accepts another new secret already. End that exchange first, with "
                + "`tessera mesh use` and `tessera mesh drop`, or give it up with "
                + "`tessera mesh drop` alone."
        case .notUnderWay:
            "This device has one mesh secret only. Give it the new one first, with "
                + "`tessera mesh accept`."
        }
    }
}

/// The 256 random bits that make a device a member of a mesh.
///
/// Whoever has them may join, read and alter everything; every key of the mesh comes from them.
public struct MeshSecret: Hashable, Sendable {
    /// How every secret's text begins: the name and the version of its form.
    public static let prefix = "tessera1-"
    /// A secret has exactly this many bytes.
    static let byteCount = 32
    /// Bytes of the checksum: 24 bits, so that bits and checksum fill base 32 characters exactly.
    private static let checksumByteCount = 3
    /// Base 32 characters after the prefix.
    private static let characterCount = (byteCount + checksumByteCount) * 8 / 5
    /// 32 random bytes have fewer different values than this with a chance below 2^-90.
    private static let differentBytesMin = 14
    /// A secret's file holds one line; anything longer is another file.
    private static let fileBytesMax = 4_096

    /// The bits.
    let bytes: [UInt8]

    /// Draws a new secret from the system's random generator.
    public static func generate() -> MeshSecret {
        while true {
            let bytes = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
            if Set(bytes).count >= differentBytesMin { return MeshSecret(bytes: bytes) }
        }
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Reads the text form; spaces and line ends around it are allowed, capitals too.
    public init(text: String) throws(MeshSecretError) {
        let characters = text.lowercased().drop(while: \.isWhitespace)
        guard characters.hasPrefix(Self.prefix) else { throw .unknownForm }
        var digits = characters.dropFirst(Self.prefix.count)
        while let last = digits.last, last.isWhitespace { digits.removeLast() }
        guard digits.count == Self.characterCount else {
            throw .wrongLength(
                characters: digits.count + Self.prefix.count,
                expected: Self.characterCount + Self.prefix.count)
        }
        let all = try Self.bytes(ofDigits: digits)
        let bits = Array(all.prefix(Self.byteCount))
        guard Array(all.suffix(Self.checksumByteCount)) == Self.checksum(of: bits) else {
            throw .badChecksum
        }
        guard Set(bits).count >= Self.differentBytesMin else { throw .weak }
        bytes = bits
    }

    /// Reads the secret from a file that only its owner may read and change.
    public init(file path: String) throws(MeshSecretError) {
        try self.init(text: try Self.text(ofFile: path))
    }

    /// The text of a file with secrets.
    static func text(ofFile path: String) throws(MeshSecretError) -> String {
        let contents: StoredFile.Contents
        do {
            contents = try StoredFile.read(path, bytesMax: Self.fileBytesMax)
        } catch {
            throw .file(error)
        }
        guard contents.mode & 0o077 == 0 else {
            throw .exposed(path: path, mode: "0" + String(contents.mode, radix: 8))
        }
        return String(decoding: contents.bytes, as: UTF8.self)
    }

    /// Writes the secret into a new file that only its owner may read; never over another file.
    ///
    /// What root writes belongs to whom the folder belongs to.
    public func write(newFile path: String) throws(StoredFileError) {
        try StoredFile.create(path, bytes: Array((text + "\n").utf8), isOfFoldersOwner: true)
    }

    /// The text form: the prefix, then the bits and a checksum in base 32 (RFC 4648, lower case).
    public var text: String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
        var digits: [UInt8] = []
        var pending: UInt32 = 0
        var pendingBits = 0
        for byte in bytes + Self.checksum(of: bytes) {
            pending = pending << 8 | UInt32(byte)
            pendingBits += 8
            while pendingBits >= 5 {
                pendingBits -= 5
                digits.append(alphabet[Int(pending >> UInt32(pendingBits) & 31)])
            }
        }
        return Self.prefix + String(decoding: digits, as: UTF8.self)
    }

    private static func bytes(ofDigits digits: Substring) throws(MeshSecretError) -> [UInt8] {
        var result: [UInt8] = []
        var pending: UInt32 = 0
        var pendingBits = 0
        for digit in digits {
            let value: UInt8
            switch digit.asciiValue {
            case .some(let ascii) where (0x61...0x7A).contains(ascii): value = ascii - 0x61
            case .some(let ascii) where (0x32...0x37).contains(ascii): value = ascii - 0x32 + 26
            default: throw .badCharacter(digit)
            }
            pending = (pending << 5 | UInt32(value)) & 0xFFFF
            pendingBits += 5
            if pendingBits >= 8 {
                pendingBits -= 8
                result.append(UInt8(truncatingIfNeeded: pending >> UInt32(pendingBits)))
            }
        }
        return result
    }

    private static func checksum(of bytes: [UInt8]) -> [UInt8] {
        Array(SHA256.hash(data: Array(prefix.utf8) + bytes).prefix(checksumByteCount))
    }
}

extension MeshSecret: CustomStringConvertible, CustomReflectable {
    /// Never the bits: descriptions end in logs.
    public var description: String { "MeshSecret(hidden)" }
    /// Never the bits: mirrors end in logs too.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
