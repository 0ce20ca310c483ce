import NIOCore
import TesseraCore
import TesseraWire

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The journal of a running agent: everything that its core is given, for `tessera simulate --replay`.
///
/// Each event is in the file before the core handles it, so that the one that ends the process is
/// there. The bytes go to the system's page cache on the control loop: that takes microseconds, and
/// only an operator who looks for a fault asks for it.
final class JournalFile {
    private let path: String
    private let descriptor: Int32
    /// The fingerprint of the last event's directives; it is written with the next event.
    private var pending = ByteBuffer()
    private var byteCount = 0
    /// Why nothing is written any more; nil while it is.
    private(set) var ended: String?
    private var isOpen = true

    /// Begins a journal; one that is there becomes `path.1`, so that a restart keeps it.
    init(path: String, settings: Agent.Settings) throws(StoredFileError) {
        if StoredFile.exists(path) {
            guard StoredFile.isPlain(path) else {
                throw StoredFileError("write the journal", path, reason: "it is no plain file")
            }
            guard rename(path, path + ".1") == 0 else {
                throw StoredFileError("rename the journal", path, errorNumber: errno)
            }
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(0o600))
        guard descriptor >= 0 else {
            throw StoredFileError("write the journal", path, errorNumber: errno)
        }
        self.path = path
        pending = JournalFormat.front
        append(.header(JournalHeader(settings)))
        flush()
        if let ended { throw StoredFileError("write the journal", path, reason: ended) }
    }

    deinit { close() }

    /// The core is about to begin.
    func willStart(at time: Timestamp) {
        append(.start(at: time))
        flush()
    }

    /// The core is about to handle an event.
    func willHandle(_ event: Event, at time: Timestamp) {
        append(.event(event, at: time))
        flush()
    }

    /// The core asked for this.
    func didHandle(_ directives: [Directive]) {
        append(.directives(DirectiveFingerprint(directives)))
    }

    /// Writes what is left, and ends.
    func close() {
        guard isOpen else { return }
        flush()
        isOpen = false
        // All is handed over; what the disk makes of it later, nobody waits for.
        _ = closeJournal(descriptor)
    }

    private func append(_ record: JournalRecord) {
        guard ended == nil else { return }
        do throws(WireError) {
            var bytes = try JournalFormat.encode(record)
            guard byteCount + bytes.readableBytes <= JournalLimits.journalBytesMax else {
                ended = "it has reached \(JournalLimits.journalBytesMax >> 20) MiB"
                return
            }
            byteCount += bytes.readableBytes
            pending.writeBuffer(&bytes)
        } catch {
            ended = "an event has no form in it: \(error)"
        }
    }

    private func flush() {
        while isOpen, pending.readableBytes > 0 {
            let count = pending.readableBytesView.withUnsafeBytes { bytes in
                write(descriptor, bytes.baseAddress, bytes.count)
            }
            if count >= 0 {
                pending.moveReaderIndex(forwardBy: count)
            } else if errno != EINTR {
                ended = StoredFileError("write the journal", path, errorNumber: errno).description
                pending.clear()
            }
        }
        pending.clear()
    }
}

// The member `close` above hides the C function's name inside the class.
private func closeJournal(_ descriptor: Int32) -> Int32 { close(descriptor) }
