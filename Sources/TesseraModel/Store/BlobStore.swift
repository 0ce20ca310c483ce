import Crypto
import Synchronization
import TesseraCore

/// The blobs and manifests that a node has on its disk, each in a file named by its hash.
///
///     FOLDER/lock                 held while the store is open
///     FOLDER/blobs/ab/cdef…       a blob: the hash without its first two digits
///     FOLDER/manifests/ab/cdef…   a manifest
///     ….partial                   the beginning of one, as far as it was fetched
///     FOLDER/damaged/…            what was found damaged; emptied at the next start
///
/// A file without `.partial` is complete: it gets its name by `rename` after its hash was checked
/// and its bytes were synced. What was synced can still rot, so loading checks again.
///
/// All methods may be called from any thread and block for as long as the disk takes: never call
/// them on an event loop. A lock guards the index only; it is not held while the disk works. No
/// method holds more of an item in memory than the caller's own buffer and one window.
public final class BlobStore: Sendable {
    /// What the store holds.
    public struct Usage: Hashable, Sendable {
        /// Bytes of complete items.
        public var completeBytes: Int
        /// Bytes that partial items have or will have.
        public var partialBytes: Int
        /// The most that both may be together.
        public var quotaBytes: Int
        /// What is left.
        public var freeBytes: Int { max(0, quotaBytes - completeBytes - partialBytes) }
    }

    /// What is known of one item.
    private struct Entry {
        /// The bytes that are in the file.
        var byteCount: Int
        /// The bytes that count against the quota.
        var reservedByteCount: Int
        var isComplete: Bool
        /// A thread writes it.
        var isBusy = false
    }

    private struct State {
        var entries: [StoreItem: Entry] = [:]
        var completeBytes = 0
        var partialBytes = 0
    }

    /// The window through which files are hashed.
    private static let windowByteCount = 1 << 20

    /// The folder.
    public let path: String
    private let quotaBytes: Int
    /// The open lock file: who holds it owns the folder.
    private let lockFile: LockFile
    private let state: Mutex<State>

    // MARK: Start

    /// Opens the store in a folder, which is made if it is not there, and lists what it holds.
    public init(path: String, quotaBytes: Int) throws(BlobStoreError) {
        self.path = path
        self.quotaBytes = quotaBytes
        do {
            try Files.makeFolder(path)
            lockFile = try LockFile(path: path + "/lock")
        } catch {
            throw BlobStoreError(error)
        }
        guard lockFile.isHeld else { throw .inUse(path: path) }
        do {
            for folder in ["blobs", "manifests", "damaged"] {
                try Files.makeFolder(path + "/" + folder)
            }
            for name in try Files.list(path + "/damaged") {
                try Files.remove(path + "/damaged/" + name)
            }
            var found = State()
            try Self.scan(path + "/blobs", into: &found) {
                BlobID(hexadecimal: $0).map { .blob($0) }
            }
            try Self.scan(path + "/manifests", into: &found) {
                ManifestID(hexadecimal: $0).map { .manifest($0) }
            }
            state = Mutex(found)
        } catch {
            throw BlobStoreError(error)
        }
    }

    /// Lists the items below a folder.
    ///
    /// What has no fitting name is left alone.
    private static func scan(
        _ folder: String, into state: inout State, _ item: (String) -> StoreItem?
    ) throws(FileError) {
        for prefix in try Files.list(folder) where prefix.utf8.count == 2 {
            let inner = folder + "/" + prefix
            guard let names = try? Files.list(inner) else {
                // Not a folder of ours: nothing in it can be an item.
                continue
            }
            for name in names {
                let isPartial = name.hasSuffix(partialSuffix)
                let digits =
                    prefix + (isPartial ? String(name.dropLast(partialSuffix.count)) : name)
                guard let item = item(digits), item.hexadecimal == digits,
                    let byteCount = Files.byteCount(ofPlainFile: inner + "/" + name)
                else { continue }
                if isPartial, state.entries[item] != nil {
                    // A crash between two fetches of one item; the complete file is enough.
                    try Files.remove(inner + "/" + name)
                    continue
                }
                state.entries[item] = Entry(
                    byteCount: byteCount, reservedByteCount: byteCount, isComplete: !isPartial)
                if isPartial {
                    state.partialBytes += byteCount
                } else {
                    state.completeBytes += byteCount
                }
            }
        }
    }

    private static let partialSuffix = ".partial"

    // MARK: Questions

    /// Whether the item is here, complete.
    public func contains(_ item: StoreItem) -> Bool {
        state.withLock { $0.entries[item]?.isComplete ?? false }
    }

    /// The bytes of a complete item; nil if it is not here.
    public func byteCount(of item: StoreItem) -> Int? {
        state.withLock { state in
            guard let entry = state.entries[item], entry.isComplete else { return nil }
            return entry.byteCount
        }
    }

    /// The bytes of a partial item that are here already: where a fetch goes on.
    public func partialByteCount(of item: StoreItem) -> Int {
        state.withLock { state in
            guard let entry = state.entries[item], !entry.isComplete else { return 0 }
            return entry.byteCount
        }
    }

    /// All complete items, ascending.
    public var items: [StoreItem] {
        state.withLock { state in
            state.entries.filter { $0.value.isComplete }.map(\.key).sorted()
        }
    }

    /// All partial items, ascending.
    public var partialItems: [StoreItem] {
        state.withLock { state in
            state.entries.filter { !$0.value.isComplete }.map(\.key).sorted()
        }
    }

    /// How full the store is.
    public var usage: Usage {
        state.withLock { state in
            Usage(
                completeBytes: state.completeBytes, partialBytes: state.partialBytes,
                quotaBytes: quotaBytes)
        }
    }

    // MARK: Writing

    /// Appends the next bytes of an item of `totalByteCount` bytes; gives how many are there then.
    ///
    /// `offset` must be `partialByteCount(of:)`. The first call reserves the whole item against
    /// the quota. When all bytes are there, call `commit`.
    @discardableResult
    public func append(
        _ bytes: UnsafeRawBufferPointer, to item: StoreItem, at offset: Int, totalByteCount: Int
    ) throws(BlobStoreError) -> Int {
        guard totalByteCount >= 0, offset >= 0, bytes.count <= totalByteCount - offset else {
            throw .wrongSize(
                item, expected: totalByteCount, given: offset.addingReportingOverflow(bytes.count).0
            )
        }
        let known = try claim(item, reserving: totalByteCount)
        guard known == offset else {
            release(item, byteCount: known)
            throw .wrongOffset(expected: known, given: offset)
        }
        do {
            try makeFolder(of: item)
            let file = try OpenFile(path: path(of: item) + Self.partialSuffix, .readAndWrite)
            try file.write(bytes, at: offset)
        } catch {
            release(item, byteCount: known)
            throw BlobStoreError(error)
        }
        release(item, byteCount: offset + bytes.count)
        return offset + bytes.count
    }

    /// Checks the hash of a partial item whose bytes are all there and makes it complete.
    ///
    /// Wrong bytes are thrown away and reported as `corrupt`.
    public func commit(_ item: StoreItem) throws(BlobStoreError) {
        if contains(item) { return }
        let (byteCount, total) = try claimForCommit(item)
        guard byteCount == total else {
            release(item, byteCount: byteCount)
            throw .wrongSize(item, expected: total, given: byteCount)
        }
        let isRight: Bool
        do throws(FileError) {
            isRight = try publishIfRight(item, byteCount: byteCount)
        } catch {
            release(item, byteCount: byteCount)
            throw BlobStoreError(error)
        }
        guard isRight else {
            discardPartial(item)
            throw .corrupt(item)
        }
        complete(item)
    }

    /// Stores an item whose bytes are all at hand; what is here already is left as it is.
    public func store(
        _ item: StoreItem, _ bytes: UnsafeRawBufferPointer
    ) throws(BlobStoreError) {
        if contains(item) { return }
        let identity: BlobID = Digest.identity(of: bytes)
        guard StoreItem.blob(identity).words == item.words else { throw .corrupt(item) }
        do {
            _ = try claim(item, reserving: bytes.count)
        } catch {
            // Another thread may have stored it since the look above.
            if contains(item) { return }
            throw error
        }
        do {
            try makeFolder(of: item)
            let file = try OpenFile(path: path(of: item) + Self.partialSuffix, .readAndWrite)
            try file.truncate(to: 0)
            try file.write(bytes, at: 0)
            try file.sync()
            try publish(item)
        } catch {
            discardPartial(item)
            throw BlobStoreError(error)
        }
        release(item, byteCount: bytes.count)
        complete(item)
    }

    /// Stores a manifest.
    public func storeManifest(_ manifest: Manifest) throws(BlobStoreError) {
        try manifest.encoded.withUnsafeBufferPointer { bytes throws(BlobStoreError) in
            try store(.manifest(manifest.id), UnsafeRawBufferPointer(bytes))
        }
    }

    /// Removes an item, complete or partial; it is well if it is not here.
    public func remove(_ item: StoreItem) throws(BlobStoreError) {
        let isComplete = try state.withLock { state throws(BlobStoreError) -> Bool? in
            guard let entry = state.entries[item] else { return nil }
            guard !entry.isBusy else { throw .busy(item) }
            state.entries[item]?.isBusy = true
            return entry.isComplete
        }
        guard let isComplete else { return }
        do {
            try Files.remove(path(of: item) + (isComplete ? "" : Self.partialSuffix))
        } catch {
            state.withLock { $0.entries[item]?.isBusy = false }
            throw BlobStoreError(error)
        }
        forget(item)
    }

    // MARK: Index

    /// Marks an item as being written by this thread and reserves its bytes; gives the bytes that
    /// are there.
    private func claim(
        _ item: StoreItem, reserving totalByteCount: Int
    ) throws(BlobStoreError) -> Int {
        try state.withLock { state throws(BlobStoreError) in
            var entry =
                state.entries[item]
                ?? Entry(byteCount: 0, reservedByteCount: 0, isComplete: false)
            guard !entry.isBusy else { throw .busy(item) }
            guard !entry.isComplete, entry.byteCount <= totalByteCount else {
                throw .wrongSize(item, expected: totalByteCount, given: entry.byteCount)
            }
            let growth = totalByteCount - entry.reservedByteCount
            let free = quotaBytes - state.completeBytes - state.partialBytes
            guard growth <= max(0, free) else {
                throw .quotaExceeded(neededBytes: growth, freeBytes: max(0, free))
            }
            state.partialBytes += growth
            entry.reservedByteCount = totalByteCount
            entry.isBusy = true
            state.entries[item] = entry
            return entry.byteCount
        }
    }

    private func claimForCommit(
        _ item: StoreItem
    ) throws(BlobStoreError) -> (byteCount: Int, total: Int) {
        try state.withLock { state throws(BlobStoreError) in
            guard let entry = state.entries[item], !entry.isComplete else { throw .missing(item) }
            guard !entry.isBusy else { throw .busy(item) }
            state.entries[item]?.isBusy = true
            return (entry.byteCount, entry.reservedByteCount)
        }
    }

    private func release(_ item: StoreItem, byteCount: Int) {
        state.withLock { state in
            state.entries[item]?.byteCount = byteCount
            state.entries[item]?.isBusy = false
        }
    }

    private func complete(_ item: StoreItem) {
        state.withLock { state in
            guard var entry = state.entries[item] else { return }
            state.partialBytes -= entry.reservedByteCount
            state.completeBytes += entry.byteCount
            entry.reservedByteCount = entry.byteCount
            entry.isComplete = true
            entry.isBusy = false
            state.entries[item] = entry
        }
    }

    private func forget(_ item: StoreItem) {
        state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: item) else { return }
            if entry.isComplete {
                state.completeBytes -= entry.byteCount
            } else {
                state.partialBytes -= entry.reservedByteCount
            }
        }
    }

    // MARK: Files

    private func folder(of item: StoreItem) -> String {
        path + (item.isManifest ? "/manifests/" : "/blobs/") + item.hexadecimal.prefix(2)
    }

    func path(of item: StoreItem) -> String {
        folder(of: item) + "/" + item.hexadecimal.dropFirst(2)
    }

    /// Makes the item's folder and, if it is new, its name durable.
    private func makeFolder(of item: StoreItem) throws(FileError) {
        guard try Files.makeFolder(folder(of: item)) else { return }
        try Files.syncFolder(path + (item.isManifest ? "/manifests" : "/blobs"))
    }

    /// Gives the synced partial file its name and makes the name durable.
    private func publish(_ item: StoreItem) throws(FileError) {
        try Files.rename(path(of: item) + Self.partialSuffix, to: path(of: item))
        try Files.syncFolder(folder(of: item))
    }

    /// Publishes the partial file if its bytes have the item's hash.
    private func publishIfRight(_ item: StoreItem, byteCount: Int) throws(FileError) -> Bool {
        let file = try OpenFile(path: path(of: item) + Self.partialSuffix, .readAndWrite)
        guard try file.byteCount() == byteCount, try Self.hash(of: file) == item.words else {
            return false
        }
        try file.sync()
        try publish(item)
        return true
    }

    private func discardPartial(_ item: StoreItem) {
        // What cannot be removed is found as a partial item at the next start.
        try? Files.remove(path(of: item) + Self.partialSuffix)
        forget(item)
    }

    /// Moves a damaged file out of the way; it is kept until the next start to be looked at.
    func quarantine(_ item: StoreItem) throws(BlobStoreError) {
        do {
            try Files.rename(path(of: item), to: path + "/damaged/" + item.hexadecimal)
        } catch {
            guard error.isMissing else { throw BlobStoreError(error) }
        }
        forget(item)
    }

    /// A file that should be here and is not was taken away by somebody: forget it.
    func lost(_ item: StoreItem, _ error: FileError) -> BlobStoreError {
        guard error.isMissing else { return BlobStoreError(error) }
        forget(item)
        return .missing(item)
    }

    static func hash(of file: borrowing OpenFile) throws(FileError) -> [UInt64] {
        let window = UnsafeMutableRawBufferPointer.allocate(
            byteCount: windowByteCount, alignment: FragmentDescription.alignment)
        defer { window.deallocate() }
        var hasher = SHA256()
        var offset = 0
        while true {
            let count = try file.read(into: window, at: offset)
            hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: window[..<count]))
            offset += count
            if count < window.count { break }
        }
        let identity: BlobID = Digest.identity(of: hasher.finalize())
        return StoreItem.blob(identity).words
    }
}

/// Holds the lock of a folder while it lives.
private final class LockFile: Sendable {
    private let file: OpenFile
    /// Whether the lock was free.
    let isHeld: Bool

    init(path: String) throws(FileError) {
        file = try OpenFile(path: path, .readAndWrite)
        isHeld = file.lock()
    }
}
