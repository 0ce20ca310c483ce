public import TesseraCore

/// What the store keeps, by the hash of its bytes.
public enum StoreItem: Hashable, Comparable, Sendable {
    /// A constant.
    case blob(BlobID)
    /// The document that names a model.
    case manifest(ManifestID)

    /// The 64 digits of the hash.
    var hexadecimal: String {
        switch self {
        case .blob(let id): id.hexadecimal
        case .manifest(let id): id.hexadecimal
        }
    }

    /// The hash as words, whatever it is of.
    var words: [UInt64] {
        let words =
            switch self {
            case .blob(let id): id.words
            case .manifest(let id): id.words
            }
        return [words.0, words.1, words.2, words.3]
    }

    var isManifest: Bool {
        switch self {
        case .blob: false
        case .manifest: true
        }
    }

    /// Blobs first, each kind by hash.
    public static func < (left: StoreItem, right: StoreItem) -> Bool {
        guard left.isManifest == right.isManifest else { return right.isManifest }
        return left.words.lexicographicallyPrecedes(right.words)
    }
}

/// Why the store could not do what it was asked: what happened, why, what to do.
public enum BlobStoreError: Error, Hashable, Sendable {
    /// Another process uses the folder.
    case inUse(path: String)
    /// The folder or a file in it may not be written.
    case notWritable(path: String, reason: String)
    /// The disk has no room.
    case diskFull(path: String)
    /// The disk failed otherwise.
    case failed(operation: String, path: String, reason: String)
    /// The quota has no room.
    case quotaExceeded(neededBytes: Int, freeBytes: Int)
    /// The item is not here, or not complete.
    case missing(StoreItem)
    /// The bytes do not have the hash. They were thrown away: fetch the item again.
    case corrupt(StoreItem)
    /// The next bytes of a partial item begin elsewhere.
    case wrongOffset(expected: Int, given: Int)
    /// More bytes, or fewer, than the item has.
    case wrongSize(StoreItem, expected: Int, given: Int)
    /// Another thread writes the item right now.
    case busy(StoreItem)
    /// A manifest has the right hash and the wrong form.
    case invalidManifest(ModelError)
    /// The caller's buffer is smaller than what it asked for.
    case smallBuffer(neededBytes: Int, givenBytes: Int)

    init(_ error: FileError) {
        if error.isDiskFull {
            self = .diskFull(path: error.path)
        } else if error.isNotPermitted {
            self = .notWritable(path: error.path, reason: error.reason)
        } else {
            self = .failed(operation: error.operation, path: error.path, reason: error.reason)
        }
    }
}

extension BlobStoreError: CustomStringConvertible {
    /// What happened, why, and what to do.
    public var description: String {
        switch self {
        case .inUse(let path):
            "The data folder '\(path)' is in use by another agent. Stop it, or give this one "
                + "another --data-dir."
        case .notWritable(let path, let reason):
            "'\(path)' cannot be written: \(reason). Check its owner and permissions, or give "
                + "another --data-dir."
        case .diskFull(let path):
            "The disk of '\(path)' is full. Make room or give a --data-dir on another disk."
        case .failed(let operation, let path, let reason):
            "Could not \(operation) '\(path)': \(reason). Check the disk."
        case .quotaExceeded(let needed, let free):
            "\(needed) bytes are needed and the disk quota has \(free) left. Raise the quota or "
                + "remove a model."
        case .missing(let item): "\(item) is not stored here. Fetch it from a peer."
        case .corrupt(let item):
            "\(item) was damaged and was thrown away. It will be fetched again from a peer."
        case .wrongOffset(let expected, let given):
            "The next bytes begin at \(expected), not at \(given). Go on there."
        case .wrongSize(let item, let expected, let given):
            "\(item) has \(expected) bytes, not \(given). Fetch it from another peer."
        case .busy(let item): "\(item) is being written already. Try again later."
        case .invalidManifest(let error): error.description
        case .smallBuffer(let needed, let given):
            "The buffer has \(given) bytes and \(needed) are needed. Give a larger one."
        }
    }
}

extension StoreItem: CustomStringConvertible {
    /// The kind and the first digits.
    public var description: String {
        (isManifest ? "Manifest " : "Blob ") + hexadecimal.prefix(12)
    }
}
