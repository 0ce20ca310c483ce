import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes spans to a file, a line each: a request for export in OTLP's JSON, as OpenTelemetry's file
/// exporter writes and its collector reads.
///
/// Nothing waits for the disk: spans are handed to a thread of the file's own. What that cannot keep
/// up with, and what the disk does not take, is dropped and counted.
public final class TraceFile: Sendable {
    /// What became of spans.
    public struct Counts: Hashable, Sendable {
        /// Spans in the file, or in the one before it.
        public var written = 0
        /// Spans that were dropped.
        public var dropped = 0
    }

    private struct State {
        var waiting: [String] = []
        var isScheduled = false
        var counts = Counts()
    }

    /// Spans that may wait for the disk: those of some hundred requests.
    static let waitingMax = 8_192
    /// The usual size at which a file is set aside; with the one before it, a trace file takes at
    /// most twice that.
    public static let usualBytesMax = 64 << 20

    private let path: String
    private let bytesMax: Int
    private let head: String
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "tessera.traces", qos: .utility)

    /// A file that is there is continued.
    ///
    /// - Parameters:
    ///   - path: Where it is; the one before it is at `path` with `.1` behind.
    ///   - node: What the agent is called.
    ///   - mesh: The mesh.
    ///   - release: The agent's version.
    ///   - bytesMax: The size at which it is set aside.
    /// - Throws: If it cannot be written.
    public init(
        path: String, node: String, mesh: String, release: String,
        bytesMax: Int = usualBytesMax
    ) throws(TraceFileError) {
        self.path = path
        self.bytesMax = bytesMax
        let resource = [
            ("service.name", "tessera"), ("service.namespace", mesh),
            ("service.instance.id", node), ("service.version", release),
        ].map { key, value in
            "{\"key\":\"\(key)\",\"value\":{\"stringValue\":\(TraceText.quoted(value))}}"
        }.joined(separator: ",")
        head =
            "{\"resourceSpans\":[{\"resource\":{\"attributes\":[\(resource)]},"
            + "\"scopeSpans\":[{\"scope\":{\"name\":\"tessera\"},\"spans\":["
        // Whether it can be written shows at the start, where somebody looks.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw TraceFileError(path: path, reason: String(cString: strerror(errno)))
        }
        close(descriptor)
    }

    private static let tail = "]}]}]}\n"

    /// What became of spans so far.
    public var counts: Counts { state.withLock { $0.counts } }

    /// Takes a span's text; from everywhere, without waiting.
    func append(_ span: String) {
        let mustSchedule = state.withLock { state in
            guard state.waiting.count < Self.waitingMax else {
                state.counts.dropped += 1
                return false
            }
            state.waiting.append(span)
            guard !state.isScheduled else { return false }
            state.isScheduled = true
            return true
        }
        if mustSchedule { queue.async { self.writeWaiting() } }
    }

    /// Waits until what was taken is written or dropped.
    public func flush() {
        queue.sync { writeWaiting() }
    }

    private func writeWaiting() {
        let spans = state.withLock { state in
            defer {
                state.waiting = []
                state.isScheduled = false
            }
            return state.waiting
        }
        guard !spans.isEmpty else { return }
        let written = write(spans)
        state.withLock { state in
            state.counts.written += written
            state.counts.dropped += spans.count - written
        }
    }

    /// Writes lines; gives how many are whole in the file.
    private func write(_ spans: [String]) -> Int {
        // Opened each time: a file that somebody took away is made anew.
        var descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return 0 }
        defer { if descriptor >= 0 { close(descriptor) } }
        var written = 0
        for span in spans {
            let line = Array((head + span + Self.tail).utf8)
            var size = Int(lseek(descriptor, 0, SEEK_END))
            if size > 0, size + line.count > bytesMax {
                close(descriptor)
                rename(path, path + ".1")
                descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else { return written }
                size = 0
            }
            guard Self.write(line, to: descriptor) else {
                // Half a line would spoil the next one.
                ftruncate(descriptor, off_t(size))
                return written
            }
            written += 1
        }
        return written
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { raw in
                #if canImport(Glibc)
                Glibc.write(descriptor, raw.baseAddress, raw.count)
                #elseif canImport(Musl)
                Musl.write(descriptor, raw.baseAddress, raw.count)
                #else
                Darwin.write(descriptor, raw.baseAddress, raw.count)
                #endif
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }
}

/// Why spans cannot be written.
public struct TraceFileError: Error, Hashable, CustomStringConvertible {
    /// The file.
    public var path: String
    /// Why.
    public var reason: String

    /// What happened and what to do.
    public var description: String {
        "The file for traces, \(path), cannot be written: \(reason). Name another with --trace-file."
    }
}
