#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Synchronization
import TesseraCore

/// What the engine is doing now, in a file that outlives the process.
///
/// The file is mapped: a mark costs a few stores, no system call, and the kernel keeps it when the
/// process dies. It is not written through to the disk, so a loss of power leaves none. A signal by
/// which the process kills itself is noted beside the work of the thread that it struck, so that the
/// next process can tell what crashed from what was merely under way.
final class CrashMarks: Sendable {
    /// One place for a mark, while it is taken.
    struct Place: Sendable {
        fileprivate var index: Int
    }

    fileprivate enum State: UInt64 {
        case free
        case compiling
        case running
    }

    /// The file's first bytes: its kind and the version of what follows.
    private static let magic: UInt64 = 0x5445_5353_4d41_524b
    /// Words of eight bytes: magic, places, node (4), boot counter, boot random.
    fileprivate static let headerWords = 8
    /// Words of a place: state, thread, signal, manifest (4), operators (2), rows (2), entry (4), its
    /// boot (2), request.
    fileprivate static let placeWords = 18
    /// More places than any engine has threads; a file that names more is not ours.
    private static let placesMax = 4_096
    /// Stands for the bounds of rows that are all of them.
    private static let allRows = UInt64.max

    // Why unsafe: the memory is mapped for the life of the process. Each place is written only by
    // the thread that has taken it; the others are found through the lock.
    nonisolated(unsafe) private let words: UnsafeMutablePointer<UInt64>
    private let taken: Mutex<[Bool]>
    private let member: NodeBoot
    /// What the process before this one left.
    let found: [CrashMark]

    /// Reads what the process before left, and begins anew.
    init(path: String, member: NodeBoot, places: Int) throws(StoredFileError) {
        let count = min(max(places, 1), Self.placesMax)
        let byteCount = (Self.headerWords + count * Self.placeWords) * 8
        // A file that cannot be read, or is of another kind, has nothing to tell.
        let old = try? StoredFile.read(path, bytesMax: 1 << 20).bytes
        found = old.map(Self.marks(in:)) ?? []
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode_t(0o600))
        guard descriptor >= 0 else { throw StoredFileError("open", path, errorNumber: errno) }
        defer { _ = close(descriptor) }
        // Written and not only made that long: on a full disk a mapped page that has no place there
        // would end the process when it is first touched.
        let zeros = [UInt8](repeating: 0, count: byteCount)
        let written = systemWrite(descriptor, zeros, byteCount)
        guard written == byteCount else {
            throw StoredFileError("write", path, errorNumber: written < 0 ? errno : ENOSPC)
        }
        guard
            let start = mmap(
                nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            start != MAP_FAILED
        else { throw StoredFileError("map", path, errorNumber: errno) }
        words = start.bindMemory(to: UInt64.self, capacity: byteCount / 8)
        taken = Mutex(Array(repeating: false, count: count))
        self.member = member
        words[0] = Self.magic
        words[1] = UInt64(count)
        Self.write(member, at: words + 2)
        CrashSignals.watch(words)
    }

    /// Notes what this thread is about to do.
    ///
    /// Nil if every place is taken: then it is done without a mark.
    func begin(_ work: CrashMark.Work) -> Place? {
        let free = taken.withLock { taken -> Int? in
            let free = taken.firstIndex(of: false)
            if let free { taken[free] = true }
            return free
        }
        guard let free else { return nil }
        let place = words + Self.headerWords + free * Self.placeWords
        place[1] = CrashSignals.thisThread
        place[2] = 0
        switch work {
        case .compiling(let key):
            Self.write(key, at: place + 3)
            place[0] = State.compiling.rawValue
        case .running(let key, let request):
            Self.write(key, at: place + 3)
            Self.write(request.entry, at: place + 11)
            place[17] = request.counter
            place[0] = State.running.rawValue
        }
        return Place(index: free)
    }

    /// It is done.
    func end(_ place: Place?) {
        guard let place else { return }
        words[Self.headerWords + place.index * Self.placeWords] = State.free.rawValue
        taken.withLock { $0[place.index] = false }
    }

    // MARK: The file's words

    private static func write(_ member: NodeBoot, at words: UnsafeMutablePointer<UInt64>) {
        (words[0], words[1], words[2], words[3]) = member.node.words
        words[4] = member.boot.counter
        words[5] = member.boot.random
    }

    private static func write(_ key: FragmentKey, at words: UnsafeMutablePointer<UInt64>) {
        (words[0], words[1], words[2], words[3]) = key.manifest.words
        words[4] = UInt64(key.operators.lowerBound)
        words[5] = UInt64(key.operators.upperBound)
        words[6] = key.rows.map { UInt64($0.lowerBound) } ?? allRows
        words[7] = key.rows.map { UInt64($0.upperBound) } ?? allRows
    }

    /// The marks in a file; none if it is not one of ours.
    private static func marks(in bytes: [UInt8]) -> [CrashMark] {
        let words = bytes.withUnsafeBytes { buffer in
            (0..<buffer.count / 8).map {
                buffer.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)
            }
        }
        guard words.count >= headerWords, words[0] == magic, words[1] <= UInt64(placesMax),
            words.count == headerWords + Int(words[1]) * placeWords
        else { return [] }
        let member = member(words[2..<8])
        return stride(from: headerWords, to: words.count, by: placeWords).compactMap { start in
            let place = words[start..<(start + placeWords)]
            guard let state = State(rawValue: place[start]), let key = key(place[(start + 3)...])
            else { return nil }
            let work: CrashMark.Work
            switch state {
            case .free: return nil
            case .compiling: work = .compiling(key)
            case .running:
                work = .running(
                    key,
                    RequestID(
                        entry: Self.member(place[(start + 11)...]), counter: place[start + 17]))
            }
            let signal = place[start + 2]
            return CrashMark(
                member: member, work: work,
                signal: signal == 0 || signal > 64 ? nil : Int(signal))
        }
    }

    private static func member(_ words: ArraySlice<UInt64>) -> NodeBoot {
        let first = words.startIndex
        return NodeBoot(
            node: NodeID(words[first], words[first + 1], words[first + 2], words[first + 3]),
            boot: Boot(counter: words[first + 4], random: words[first + 5]))
    }

    private static func key(_ words: ArraySlice<UInt64>) -> FragmentKey? {
        let first = words.startIndex
        func range(_ index: Int) -> Range<Int>? {
            guard let lower = Int(exactly: words[first + index]),
                let upper = Int(exactly: words[first + index + 1]), lower < upper
            else { return nil }
            return lower..<upper
        }
        guard let operators = range(4) else { return nil }
        return FragmentKey(
            manifest: ManifestID(
                words[first], words[first + 1], words[first + 2], words[first + 3]),
            operators: operators, rows: range(6))
    }
}

/// The signals by which a process kills itself, noted in its crash marks.
private enum CrashSignals {
    private static let signals = [SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP]

    // Why unsafe: both are set before the handlers are, and never again; a handler may use nothing
    // but such plain memory.
    nonisolated(unsafe) static var marks: UnsafeMutablePointer<UInt64>?
    // The actions that were there before, by signal; allocated for the life of the process.
    nonisolated(unsafe) static var previous: UnsafeMutablePointer<sigaction>?

    /// This thread as a number that no other living thread has.
    static var thisThread: UInt64 {
        #if os(Linux)
        UInt64(pthread_self())
        #else
        UInt64(UInt(bitPattern: pthread_self()))
        #endif
    }

    /// Notes signals in these marks from now on.
    static func watch(_ words: UnsafeMutablePointer<UInt64>) {
        let isFirst = marks == nil
        marks = words
        guard isFirst else { return }
        let actions = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
        actions.initialize(repeating: sigaction(), count: 65)
        previous = actions
        for signal in signals {
            var action = sigaction()
            #if os(Linux)
            action.__sigaction_handler.sa_handler = { CrashSignals.note($0) }
            #else
            action.__sigaction_u.__sa_handler = { CrashSignals.note($0) }
            #endif
            sigaction(signal, &action, actions + Int(signal))
        }
    }

    /// In the handler: notes the signal beside the work of this thread, or beside all work if the
    /// thread has none of its own, and lets the signal do what it would have done.
    private static func note(_ signal: Int32) {
        if let marks {
            let count = Int(marks[1])
            let me = thisThread
            var isFound = false
            for index in 0..<count {
                let place = marks + CrashMarks.headerWords + index * CrashMarks.placeWords
                if place[0] != 0, place[1] == me {
                    place[2] = UInt64(signal)
                    isFound = true
                }
            }
            if !isFound {
                for index in 0..<count {
                    let place = marks + CrashMarks.headerWords + index * CrashMarks.placeWords
                    if place[0] != 0 { place[2] = UInt64(signal) }
                }
            }
        }
        if let previous { sigaction(signal, previous + Int(signal), nil) }
        raise(signal)
    }
}
