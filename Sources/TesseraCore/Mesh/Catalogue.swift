/// Why a name cannot be given or taken away.
public enum CatalogueError: Error, Hashable, Sendable {
    /// The name is not 1 to 128 letters, digits, `-`, `_` or `.`, beginning with a letter or digit.
    case invalidName(String)
    /// No model has this name.
    case unknownName(String)
    /// The mesh names as many models as it can; remove one first.
    case tooManyNames(limit: Int)
}

extension CatalogueError: CustomStringConvertible {
    /// What happened and what to do.
    public var description: String {
        switch self {
        case .invalidName(let name):
            "'\(name.prefix(Catalogue.nameLengthMax))' is no model name: use 1 to "
                + "\(Catalogue.nameLengthMax) letters, digits, '-', '_' or '.', beginning with a "
                + "letter or a digit"
        case .unknownName(let name):
            "no model is named '\(name)'; `tessera model list` prints the names"
        case .tooManyNames(let limit):
            "the mesh names \(limit) models already, removed ones included; names that were removed "
                + "are free again after 30 days"
        }
    }
}

/// The mesh's list of models: for each name the entry that wins, everywhere the same one.
///
/// An entry without a manifest is a tombstone: it keeps a removed name from coming back with a node
/// that was away.
struct Catalogue: Sendable {
    /// Names, tombstones included: all of them travel in every digest.
    static let namesMax = 512
    /// Bytes in a name: it is part of paths and of log lines.
    static let nameLengthMax = 128
    /// How long a tombstone is kept, by the time that this node runs.
    static let tombstoneKept = TimeSpan.seconds(30 * 24 * 3_600)
    /// Versions are below this: a peer must not drive the clock to its end.
    static let versionMax: UInt64 = 1 << 62

    /// What came of merging an entry.
    enum Outcome: Hashable {
        /// Nothing new.
        case unchanged
        /// The name is new, and there are as many as there may be.
        case full
        /// The entry is the winner now; `loser` is what it beats if both were made without knowing
        /// of each other.
        case changed(loser: CatalogueEntry?)
        /// The entry lost against one that was made without knowing of it, and nobody was told yet.
        case lost(to: CatalogueEntry)
    }

    private struct Item {
        var entry: CatalogueEntry
        /// When this node took the entry over.
        var since: Timestamp
        /// The last entry that lost against it.
        var loser: CatalogueEntry?
    }

    private var items: [Item] = []
    /// The highest version seen (Lamport's clock).
    private var clock: UInt64 = 0

    /// Every entry, tombstones included, ascending by name.
    var entries: [CatalogueEntry] { items.map(\.entry) }

    /// The entries that name a model, ascending by name.
    var models: [CatalogueEntry] { items.map(\.entry).filter { $0.manifest != nil } }

    /// The model of a name.
    func manifest(named name: String) -> ManifestID? { entry(named: name)?.manifest }

    /// The winning entry of a name, which may be a tombstone.
    func entry(named name: String) -> CatalogueEntry? {
        place(of: name).map { items[$0].entry }
    }

    /// How a model is to be planned: as its first name says.
    func settings(of manifest: ManifestID) -> ModelSettings {
        items.first { $0.entry.manifest == manifest }?.entry.settings ?? ModelSettings()
    }

    /// Whether a name may be given to a model.
    static func isValid(name: String) -> Bool {
        let bytes = name.utf8
        guard (1...nameLengthMax).contains(bytes.count), let first = bytes.first,
            isLetterOrDigit(first)
        else { return false }
        return bytes.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    /// Gives a name to a model, or takes it away; returns the new entry.
    mutating func name(
        _ name: String, manifest: ManifestID?, settings: ModelSettings = ModelSettings(),
        author: NodeID, now: Timestamp
    ) throws(CatalogueError) -> CatalogueEntry {
        guard Self.isValid(name: name) else { throw .invalidName(name) }
        let old = entry(named: name)
        if manifest == nil, old?.manifest == nil { throw .unknownName(name) }
        if old == nil, items.count >= Self.namesMax {
            throw .tooManyNames(limit: Self.namesMax)
        }
        let new = CatalogueEntry(
            name: name, manifest: manifest, version: clock + 1, author: author,
            settings: settings)
        let outcome = merge(new, now: now)
        invariant(outcome != .unchanged, "a new entry for \(name) does not win: \(new)")
        return new
    }

    /// Takes an entry over if it wins.
    mutating func merge(_ entry: CatalogueEntry, now: Timestamp) -> Outcome {
        guard Self.isValid(name: entry.name), entry.version < Self.versionMax else {
            return .unchanged
        }
        clock = max(clock, entry.version)
        guard let place = place(of: entry.name) else {
            guard items.count < Self.namesMax else { return .full }
            let place = items.firstIndex { $0.entry.name > entry.name } ?? items.count
            items.insert(Item(entry: entry, since: now), at: place)
            return .changed(loser: nil)
        }
        let known = items[place].entry
        if entry.completes(known) {
            items[place].entry = entry
            return .changed(loser: nil)
        }
        // Equal versions of two authors: neither knew of the other.
        let isConflict = entry.version == known.version && entry.manifest != known.manifest
        if entry.wins(over: known) {
            let loser = isConflict ? known : nil
            items[place] = Item(entry: entry, since: now, loser: loser)
            return .changed(loser: loser)
        }
        guard isConflict, items[place].loser != entry else { return .unchanged }
        items[place].loser = entry
        return .lost(to: known)
    }

    /// Forgets tombstones that are old enough; says whether there were any.
    mutating func prune(now: Timestamp) -> Bool {
        let count = items.count
        items.removeAll { $0.entry.manifest == nil && now - $0.since >= Self.tombstoneKept }
        return items.count != count
    }

    private func place(of name: String) -> Int? { items.firstIndex { $0.entry.name == name } }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
