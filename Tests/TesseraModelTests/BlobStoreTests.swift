import Foundation
import TesseraCore
import Testing

@testable import TesseraModel

@Suite("The blob store never takes half a blob for a whole one")
struct BlobStoreTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(quotaBytes: Int = 1 << 30) throws -> BlobStore {
        try BlobStore(path: folder.path + "/store", quotaBytes: quotaBytes)
    }

    private func file(_ id: BlobID, _ suffix: String = "") -> String {
        let digits = id.hexadecimal
        return folder.path + "/store/blobs/" + digits.prefix(2) + "/" + digits.dropFirst(2) + suffix
    }

    /// Fetches `bytes` in chunks from where the store is.
    private func fetch(
        _ bytes: [UInt8], as id: BlobID, into store: BlobStore, chunk: Int, upTo end: Int? = nil
    ) throws {
        while store.partialByteCount(of: .blob(id)) < end ?? bytes.count {
            let offset = store.partialByteCount(of: .blob(id))
            let next = bytes[offset..<min(offset + chunk, bytes.count)]
            try next.withUnsafeBytes {
                _ = try store.append(
                    $0, to: .blob(id), at: offset, totalByteCount: bytes.count)
            }
        }
    }

    private func load(_ id: BlobID, _ count: Int, from store: BlobStore) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try store.load(.blob(id), into: $0) }
        return bytes
    }

    @Test("A blob fetched in chunks is whole after commit, and not before")
    func fetches() throws {
        let store = try open()
        let bytes = [UInt8].pattern(100_000)
        try fetch(bytes, as: bytes.blobID, into: store, chunk: 4096)
        #expect(!store.contains(.blob(bytes.blobID)))
        #expect(store.partialItems == [.blob(bytes.blobID)])
        try store.commit(.blob(bytes.blobID))
        #expect(store.contains(.blob(bytes.blobID)))
        #expect(store.items == [.blob(bytes.blobID)])
        #expect(store.byteCount(of: .blob(bytes.blobID)) == bytes.count)
        #expect(try load(bytes.blobID, bytes.count, from: store) == bytes)
        var part = [UInt8](repeating: 0, count: 100)
        let count = try part.withUnsafeMutableBytes {
            try store.read(.blob(bytes.blobID), at: 99_950, into: $0)
        }
        #expect(count == 50 && Array(part[..<50]) == Array(bytes[99_950...]))
    }

    @Test("A fetch goes on after a restart where it was")
    func resumes() throws {
        let bytes = [UInt8].pattern(50_000)
        var store: BlobStore? = try open()
        try fetch(bytes, as: bytes.blobID, into: try #require(store), chunk: 1000, upTo: 20_000)
        store = nil
        let again = try open()
        #expect(again.partialByteCount(of: .blob(bytes.blobID)) == 20_000)
        #expect(!again.contains(.blob(bytes.blobID)))
        try fetch(bytes, as: bytes.blobID, into: again, chunk: 7000)
        try again.commit(.blob(bytes.blobID))
        #expect(try load(bytes.blobID, bytes.count, from: again) == bytes)
    }

    @Test("Wrong bytes are thrown away at commit and can be fetched again")
    func refusesWrongBytes() throws {
        let store = try open()
        let right = [UInt8].pattern(5000)
        var wrong = right
        wrong[3210] ^= 4
        try fetch(wrong, as: right.blobID, into: store, chunk: 1000)
        #expect(throws: BlobStoreError.corrupt(.blob(right.blobID))) {
            try store.commit(.blob(right.blobID))
        }
        #expect(store.partialByteCount(of: .blob(right.blobID)) == 0)
        #expect(!FileManager.default.fileExists(atPath: file(right.blobID, ".partial")))
        #expect(store.usage.partialBytes == 0)
        try fetch(right, as: right.blobID, into: store, chunk: 1000)
        try store.commit(.blob(right.blobID))
        #expect(store.contains(.blob(right.blobID)))
    }

    @Test("Chunks must follow each other and end where the blob ends")
    func refusesWrongPlaces() throws {
        let store = try open()
        let bytes = [UInt8].pattern(1000)
        let item = StoreItem.blob(bytes.blobID)
        try bytes[..<400].withUnsafeBytes {
            _ = try store.append($0, to: item, at: 0, totalByteCount: 1000)
        }
        #expect(throws: BlobStoreError.wrongOffset(expected: 400, given: 300)) {
            try bytes[..<10].withUnsafeBytes {
                _ = try store.append($0, to: item, at: 300, totalByteCount: 1000)
            }
        }
        #expect(throws: BlobStoreError.wrongSize(item, expected: 1000, given: 1400)) {
            try bytes.withUnsafeBytes {
                _ = try store.append($0, to: item, at: 400, totalByteCount: 1000)
            }
        }
        #expect(throws: BlobStoreError.wrongSize(item, expected: 1000, given: 400)) {
            try store.commit(item)
        }
        #expect(throws: BlobStoreError.missing(.blob([UInt8(1)].blobID))) {
            try store.commit(.blob([UInt8(1)].blobID))
        }
        try store.remove(item)
        #expect(store.partialByteCount(of: item) == 0)
        #expect(store.usage.freeBytes == store.usage.quotaBytes)
    }

    @Test("A blob that rotted on disk is found at load, moved away and can be fetched again")
    func findsRot() throws {
        let store = try open()
        let bytes = [UInt8].pattern(3000)
        let item = StoreItem.blob(bytes.blobID)
        for damage in ["byte", "cut", "gone"] {
            try bytes.withUnsafeBytes { try store.store(item, $0) }
            #expect(store.contains(item))
            let url = URL(filePath: file(bytes.blobID))
            switch damage {
            case "byte": try Data(bytes.dropLast() + [bytes[2999] ^ 1]).write(to: url)
            case "cut": try Data(bytes.dropLast()).write(to: url)
            default: try FileManager.default.removeItem(at: url)
            }
            let expected: BlobStoreError = damage == "gone" ? .missing(item) : .corrupt(item)
            #expect(throws: expected) { try load(bytes.blobID, 3000, from: store) }
            #expect(!store.contains(item))
            #expect(store.usage.completeBytes == 0)
        }
        try bytes.withUnsafeBytes { try store.store(item, $0) }
        try store.verify(item)
        try Data(bytes.reversed()).write(to: URL(filePath: file(bytes.blobID)))
        #expect(throws: BlobStoreError.corrupt(item)) { try store.verify(item) }
    }

    @Test("The quota counts what is here and what is on its way")
    func keepsQuota() throws {
        let store = try open(quotaBytes: 10_000)
        let first = [UInt8].pattern(6000, seed: 1)
        let second = [UInt8].pattern(6000, seed: 2)
        try first[..<10].withUnsafeBytes {
            _ = try store.append($0, to: .blob(first.blobID), at: 0, totalByteCount: 6000)
        }
        #expect(store.usage.partialBytes == 6000)
        #expect(throws: BlobStoreError.quotaExceeded(neededBytes: 6000, freeBytes: 4000)) {
            try second.withUnsafeBytes { try store.store(.blob(second.blobID), $0) }
        }
        try store.remove(.blob(first.blobID))
        try second.withUnsafeBytes { try store.store(.blob(second.blobID), $0) }
        #expect(store.usage.completeBytes == 6000 && store.usage.freeBytes == 4000)
        try store.remove(.blob(second.blobID))
        try store.remove(.blob(second.blobID))
        #expect(store.usage.freeBytes == 10_000)
    }

    @Test("One folder has one owner at a time")
    func locksFolder() throws {
        var store: BlobStore? = try open()
        #expect(throws: BlobStoreError.inUse(path: folder.path + "/store")) { try open() }
        #expect(store != nil)
        store = nil
        _ = try open()
    }

    @Test("A folder that cannot be made or written is told in words")
    func tellsUnwritable() throws {
        let blocked = folder.path + "/file"
        try Data([1]).write(to: URL(filePath: blocked))
        #expect(throws: BlobStoreError.self) {
            try BlobStore(path: blocked + "/store", quotaBytes: 10)
        }
        #expect(throws: BlobStoreError.self) {
            try BlobStore(path: "/proc/tessera", quotaBytes: 10)
        }
    }

    @Test("A full disk is told as such and leaves nothing half written behind")
    func tellsFullDisk() throws {
        let full = BlobStoreError(FileError(operation: "write", path: "x", code: 28))
        #expect(full == .diskFull(path: "x"))
        let store = try open()
        let bytes = [UInt8].pattern(100)
        // A folder in the place of the partial file makes the write fail.
        try FileManager.default.createDirectory(
            atPath: file(bytes.blobID, ".partial"), withIntermediateDirectories: true)
        #expect(throws: BlobStoreError.self) {
            try bytes.withUnsafeBytes { try store.store(.blob(bytes.blobID), $0) }
        }
        #expect(!store.contains(.blob(bytes.blobID)))
        #expect(store.usage.freeBytes == store.usage.quotaBytes)
    }

    @Test("What is in the folder and is not an item is left alone")
    func ignoresStrangers() throws {
        var store: BlobStore? = try open()
        let bytes = [UInt8].pattern(2000)
        try bytes.withUnsafeBytes { try store?.store(.blob(bytes.blobID), $0) }
        store = nil
        let blobs = folder.path + "/store/blobs/"
        try Data([1]).write(to: URL(filePath: blobs + "README"))
        try Data([1]).write(to: URL(filePath: blobs + "zz"))
        try Data([1]).write(to: URL(filePath: file(bytes.blobID) + "x"))
        try FileManager.default.createSymbolicLink(
            atPath: file([UInt8(9)].blobID, "").replacingOccurrences(
                of: [UInt8(9)].blobID.hexadecimal.prefix(2) + "/",
                with: bytes.blobID.hexadecimal.prefix(2) + "/"),
            withDestinationPath: "/etc/hostname")
        let again = try open()
        #expect(again.items == [.blob(bytes.blobID)])
        #expect(again.partialItems.isEmpty)
        #expect(again.usage.completeBytes == 2000)
    }

    @Test("Many threads fetch and load at once")
    func threads() throws {
        let store = try open()
        let blobs = (0..<8).map { [UInt8].pattern(20_000, seed: UInt64($0 + 1)) }
        let failures = LockedList()
        DispatchQueue.concurrentPerform(iterations: 32) { index in
            let bytes = blobs[index % 8]
            do {
                try bytes.withUnsafeBytes { try store.store(.blob(bytes.blobID), $0) }
            } catch BlobStoreError.busy {
                // Another thread stores the same blob.
            } catch {
                failures.append("\(error)")
            }
        }
        #expect(failures.all == [])
        #expect(store.items.count == 8)
        for bytes in blobs { #expect(try load(bytes.blobID, 20_000, from: store) == bytes) }
    }

    @Test(
        "An import lands in the store, and a fragment's weights come out", arguments: Fixture.names)
    func importsAndLoads(name: String) throws {
        let store = try open()
        let fixture = try Fixture(name)
        var done = 0
        try fixture.imported.store(in: store) { done = $0 }
        try fixture.imported.store(in: store)
        #expect(done == fixture.manifest.blobByteCount)
        let manifest = try store.manifest(fixture.manifest.id)
        #expect(manifest == fixture.manifest)
        let cutter = try ModelCutter(manifest)
        let graph = try IRReader.read(
            xml: fixture.xml, weightByteCount: fixture.weights.count)
        let fragment = try cutter.fragment(operators: 0..<cutter.outline.operators.count)
        var buffer = [UInt8](repeating: 0xAA, count: fragment.weightByteCount)
        try buffer.withUnsafeMutableBytes {
            try store.loadWeights(fragment, blobs: cutter.outline.blobs, into: $0)
        }
        let packed = try IRReader.read(xml: fragment.xml, weightByteCount: buffer.count)
        for layer in graph.layers {
            guard case .range(let offset, let count) = layer.constant else { continue }
            let copy = packed.layers.first { $0.name == layer.name }
            guard case .range(let place, count) = copy?.constant else {
                Issue.record("\(layer.name) is not in the fragment")
                continue
            }
            #expect(buffer[place..<(place + count)] == fixture.weights[offset..<(offset + count)])
        }
        guard let blob = cutter.outline.blobs.first else { return }
        try Data([1, 2, 3]).write(to: URL(filePath: file(blob.id)))
        #expect(throws: BlobStoreError.corrupt(.blob(blob.id))) {
            try buffer.withUnsafeMutableBytes {
                try store.loadWeights(fragment, blobs: cutter.outline.blobs, into: $0)
            }
        }
        #expect(!store.contains(.blob(blob.id)))
        try fixture.imported.store(in: store)
        #expect(store.contains(.blob(blob.id)))
    }

    @Test("A buffer that is too small is refused before anything is read")
    func refusesSmallBuffer() throws {
        let store = try open()
        let cutter = try ModelCutter(Fixture("several").manifest)
        let fragment = try cutter.fragment(operators: 0..<cutter.outline.operators.count)
        var buffer = [UInt8](repeating: 0, count: 3)
        #expect(
            throws: BlobStoreError.smallBuffer(
                neededBytes: fragment.weightByteCount, givenBytes: 3)
        ) {
            try buffer.withUnsafeMutableBytes {
                try store.loadWeights(fragment, blobs: cutter.outline.blobs, into: $0)
            }
        }
    }
}

/// Collects messages of many threads.
private final class LockedList: @unchecked Sendable {
    // Why unchecked: the lock guards the only stored value.
    private let lock = NSLock()
    private var items: [String] = []

    func append(_ item: String) { lock.withLock { items.append(item) } }
    var all: [String] { lock.withLock { items } }
}
