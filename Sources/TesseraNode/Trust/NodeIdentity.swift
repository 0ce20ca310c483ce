import Crypto
public import TesseraCore

/// Why a node cannot take up its identity.
public enum NodeIdentityError: Error, Hashable, Sendable {
    /// A file cannot be read or written.
    case file(StoredFileError)
    /// A file is there and does not hold what it must.
    case damaged(path: String, reason: String)
    /// The key is there and its boot counter is not.
    case counterMissing(path: String, keyPath: String)
    /// Other users of the machine may read or change the key.
    case exposed(path: String, mode: String)
}

extension NodeIdentityError: CustomStringConvertible {
    /// What happened and what to do.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .damaged(let path, let reason):
            "The file \(path) is damaged: \(reason). It is left as it is. Put back a copy of it, "
                + "or move the whole data folder away to start as a new node."
        case .counterMissing(let path, let keyPath):
            "The file \(path) is missing although \(keyPath) is there. Without it this run could "
                + "be taken for an older one. Put it back, or move \(keyPath) away too to start "
                + "as a new node."
        case .exposed(let path, let mode):
            "The file \(path) with the node's key can be read or changed by other users (mode "
                + "\(mode)). Run `chmod 600 \(path)`; if others may have read it, move the data "
                + "folder away to start as a new node."
        }
    }
}

/// Who a node is: its signing key for life, and the number of this run.
public struct NodeIdentity: Sendable {
    /// The node and this run of it.
    public let member: NodeBoot
    /// The public signing key (ANSI X9.63, uncompressed); its SHA-256 is the node's identity.
    public let publicKey: [UInt8]

    /// The signing key; also the key of the node's TLS leaf.
    let key: P256.Signing.PrivateKey
    /// Held while the identity is in use, so that two agents never share one.
    private let lock: FolderLock?

    /// The node.
    public var node: NodeID { member.node }
    /// This run.
    public var boot: Boot { member.boot }

    private static let keyHeader = "tessera-identity 1"
    private static let bootHeader = "tessera-boot 1"
    /// Both files have three short lines.
    private static let fileBytesMax = 1_024

    /// Takes up the identity that the data folder holds, or makes one in an empty folder, and
    /// counts this run durably.
    public init(dataFolder: String) throws(NodeIdentityError) {
        let keyPath = dataFolder + "/identity.key"
        let bootPath = dataFolder + "/boot"
        let held: FolderLock
        do {
            try StoredFile.makeFolder(dataFolder)
            held = try FolderLock(dataFolder + "/lock")
        } catch {
            throw .file(error)
        }
        let isNew = !StoredFile.exists(keyPath)
        if !isNew, !StoredFile.exists(bootPath) {
            throw .counterMissing(path: bootPath, keyPath: keyPath)
        }
        // The counter first: a crash in between leaves a counter without a key, which is harmless.
        let stored = isNew ? nil : try Self.readKey(keyPath)
        let counter = try Self.countRun(bootPath)
        let signingKey = stored ?? P256.Signing.PrivateKey()
        if isNew {
            let text = [
                Self.keyHeader, Self.hexadecimal(signingKey.rawRepresentation),
                Self.node(of: Array(signingKey.publicKey.x963Representation)).hexadecimal, "",
            ].joined(separator: "\n")
            do {
                try StoredFile.replace(keyPath, bytes: Array(text.utf8))
            } catch {
                throw .file(error)
            }
        }
        var generator = SystemRandomNumberGenerator()
        self.init(
            key: signingKey, boot: Boot(counter: counter, random: generator.next()), lock: held)
    }

    /// Makes an identity that lives only in memory: for tools and tests.
    public init(ephemeralBoot boot: Boot) {
        self.init(key: P256.Signing.PrivateKey(), boot: boot, lock: nil)
    }

    /// The same node in another run: for tests of restarts.
    func rebooted(as boot: Boot) -> NodeIdentity {
        NodeIdentity(key: key, boot: boot, lock: lock)
    }

    private init(key: P256.Signing.PrivateKey, boot: Boot, lock: FolderLock?) {
        self.key = key
        self.lock = lock
        publicKey = Array(key.publicKey.x963Representation)
        member = NodeBoot(node: Self.node(of: publicKey), boot: boot)
    }

    /// The node that a public signing key belongs to: the key's SHA-256.
    public static func node(of publicKey: [UInt8]) -> NodeID {
        guard let node = NodeID(bytes: Array(SHA256.hash(data: publicKey))) else {
            fatalError("SHA-256 gave another number of bytes than 32")
        }
        return node
    }

    /// Signs the bytes: 64 bytes of ECDSA over P-256 and SHA-256.
    public func sign(_ bytes: some Sequence<UInt8>) throws -> [UInt8] {
        Array(try key.signature(for: SHA256.hash(data: Array(bytes))).rawRepresentation)
    }

    /// Whether `signature` is the one that the owner of `publicKey` made over the bytes.
    public static func verify(
        _ signature: [UInt8], of bytes: some Sequence<UInt8>, publicKey: [UInt8]
    ) -> Bool {
        // Ignoring the errors is right: a key or signature that cannot be read is not valid.
        guard let key = try? P256.Signing.PublicKey(x963Representation: publicKey),
            let parsed = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
        else { return false }
        return key.isValidSignature(parsed, for: SHA256.hash(data: Array(bytes)))
    }

    private static func readKey(
        _ path: String
    ) throws(NodeIdentityError) -> P256.Signing.PrivateKey {
        let contents = try read(path)
        guard contents.mode & 0o077 == 0 else {
            throw .exposed(path: path, mode: "0" + String(contents.mode, radix: 8))
        }
        let lines = lines(of: contents.bytes)
        guard lines.count == 3, lines[0] == keyHeader else {
            throw .damaged(path: path, reason: "it is not an identity of this version")
        }
        // 64 digits are an identity's form too, so its reader serves for the key's bytes.
        // Ignoring the error is right: a number out of the curve's range is damage as well.
        guard let raw = BlobID(hexadecimal: lines[1]),
            let key = try? P256.Signing.PrivateKey(rawRepresentation: raw.bytes)
        else { throw .damaged(path: path, reason: "its key cannot be read") }
        let node = node(of: Array(key.publicKey.x963Representation))
        guard lines[2] == node.hexadecimal else {
            throw .damaged(path: path, reason: "its key does not match its node identity")
        }
        return key
    }

    /// Adds one to the counter on disk before the run is known to anybody.
    private static func countRun(_ path: String) throws(NodeIdentityError) -> UInt64 {
        var counter: UInt64 = 0
        if StoredFile.exists(path) {
            let lines = lines(of: try read(path).bytes)
            guard lines.count == 3, lines[0] == bootHeader, let number = UInt64(lines[1]),
                number < .max, lines[2] == checksum(ofCounter: number)
            else { throw .damaged(path: path, reason: "it is not a boot counter") }
            counter = number
        }
        counter += 1
        let text = "\(bootHeader)\n\(counter)\n\(checksum(ofCounter: counter))\n"
        do {
            try StoredFile.replace(path, bytes: Array(text.utf8))
        } catch {
            throw .file(error)
        }
        return counter
    }

    private static func checksum(ofCounter counter: UInt64) -> String {
        hexadecimal(SHA256.hash(data: Array("\(bootHeader) \(counter)".utf8)).prefix(8))
    }

    private static func read(_ path: String) throws(NodeIdentityError) -> StoredFile.Contents {
        do {
            return try StoredFile.read(path, bytesMax: fileBytesMax)
        } catch {
            if error.errorNumber == 0 { throw .damaged(path: path, reason: error.reason) }
            throw .file(error)
        }
    }

    private static func lines(of bytes: [UInt8]) -> [Substring] {
        var lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 2 ? digits : "0" + digits
        }.joined()
    }
}

extension NodeIdentity: CustomStringConvertible, CustomReflectable {
    /// The public part only: descriptions end in logs.
    public var description: String { "\(member.node) boot \(member.boot.counter)" }
    /// The public part only: mirrors end in logs too.
    public var customMirror: Mirror { Mirror(self, children: ["member": member]) }
}
