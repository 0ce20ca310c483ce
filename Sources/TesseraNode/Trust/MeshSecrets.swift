/// The secrets of a mesh that a device has: the one that it uses, and while the mesh exchanges its
/// secret one more that it accepts.
///
/// The file has a line for each, the used one first. A mesh changes in three steps, each on every
/// device before the next: accept the new secret, use it, drop the old one. Devices that are one
/// step apart understand each other.
public struct MeshSecrets: Hashable, Sendable {
    /// What this device proves itself by, and seals with.
    public let used: MeshSecret
    /// What it accepts of others beside that.
    public let alsoAccepted: MeshSecret?

    /// A file of more lines than this is another file.
    private static let linesMax = 2

    /// Makes the secrets of a device; a second one must be another one.
    public init(_ used: MeshSecret, alsoAccepting other: MeshSecret? = nil) {
        self.used = used
        alsoAccepted = other == used ? nil : other
    }

    /// Reads the secrets from a file that only its owner may read and change.
    public init(file path: String) throws(MeshSecretError) {
        try self.init(text: MeshSecret.text(ofFile: path))
    }

    /// Reads the text of such a file.
    public init(text: String) throws(MeshSecretError) {
        let lines = text.split(whereSeparator: \.isNewline)
            .filter { !$0.allSatisfy(\.isWhitespace) }
        guard let first = lines.first else { throw .unknownForm }
        guard lines.count <= Self.linesMax else { throw .tooMany(lines.count) }
        let used = try MeshSecret(text: String(first))
        guard lines.count > 1 else {
            self.init(used)
            return
        }
        let other = try MeshSecret(text: String(lines[1]))
        guard other != used else { throw .twice }
        self.init(used, alsoAccepting: other)
    }

    /// Writes the secrets into a new file and makes its folder; never over another file.
    public func write(newFile path: String) throws(StoredFileError) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try StoredFile.makeFolder(String(path[..<slash]))
        }
        try StoredFile.create(path, bytes: bytes, isOfFoldersOwner: true)
    }

    /// Puts the secrets in place of the file at once; it belongs to whom its folder belongs to.
    public func write(file path: String) throws(StoredFileError) {
        try StoredFile.replace(path, bytes: bytes, isOfFoldersOwner: true)
    }

    private var bytes: [UInt8] {
        [used, alsoAccepted].compactMap { $0.map { $0.text + "\n" } }.flatMap(\.utf8)
    }

    /// The first step: the new secret is accepted, and the old one used.
    ///
    /// The secrets of another device, which may be a step further, serve as well as the new one alone.
    public func accepting(_ secrets: MeshSecrets) throws(MeshSecretError) -> MeshSecrets {
        let new = [secrets.used, secrets.alsoAccepted].compactMap { $0 != used ? $0 : nil }
        guard let secret = new.first else { throw .twice }
        guard new.count == 1, alsoAccepted == nil || alsoAccepted == secret else {
            throw .underWay
        }
        return MeshSecrets(used, alsoAccepting: secret)
    }

    /// The second step: what was accepted is used, and what was used is accepted.
    public func switched() throws(MeshSecretError) -> MeshSecrets {
        guard let alsoAccepted else { throw .notUnderWay }
        return MeshSecrets(alsoAccepted, alsoAccepting: used)
    }

    /// The third step: only what is used is accepted.
    public func dropped() throws(MeshSecretError) -> MeshSecrets {
        guard alsoAccepted != nil else { throw .notUnderWay }
        return MeshSecrets(used)
    }
}

/// The keys of every secret that a device has.
public struct MeshKeyring: Sendable {
    /// What it proves itself by, and seals with.
    public let used: MeshKeys
    /// What it accepts, the used ones first.
    public let accepted: [MeshKeys]

    /// Derives the keys.
    public init(_ secrets: MeshSecrets, name: String) throws(MeshKeysError) {
        used = try MeshKeys(secret: secrets.used, name: name)
        guard let other = secrets.alsoAccepted else {
            accepted = [used]
            return
        }
        accepted = [used, try MeshKeys(secret: other, name: name)]
    }

    /// The keys of one secret.
    public init(_ keys: MeshKeys) {
        used = keys
        accepted = [keys]
    }

    /// Tells the accepted secrets apart in the open.
    public var tags: [String] { accepted.map(\.tag) }
}
