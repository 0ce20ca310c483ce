import NIOCore
import NIOPosix
import TesseraCore
import TesseraWire

/// One blob on its way from a peer into a sink: asks for a window of chunks, and asks for more when
/// the sink has taken what came, so that neither memory nor a slow disk is overrun.
///
/// Sendable by confinement: made on the control loop, then used on the connection's loop only.
final class BlobFetch: @unchecked Sendable {
    /// The blob.
    let blob: BlobID
    /// Whether it is a manifest.
    let isManifest: Bool
    /// When something last came.
    private(set) var lastProgress = NIODeadline.now()

    private let sink: any BlobSink
    private let writers: NIOThreadPool
    /// Called once, on the connection's loop.
    private let completed: @Sendable (_ failure: String?) -> Void

    /// The first byte that was not asked for.
    private var askedUpTo: Int
    /// The next byte that must come.
    private var receivedUpTo: Int
    /// Bytes that came and that the sink has not taken.
    private var writingBytes = 0
    private var total: Int?
    private(set) var isOver = false

    init(
        blob: BlobID, isManifest: Bool, offset: Int, sink: any BlobSink, writers: NIOThreadPool,
        completed: @escaping @Sendable (_ failure: String?) -> Void
    ) {
        self.blob = blob
        self.isManifest = isManifest
        self.sink = sink
        self.writers = writers
        self.completed = completed
        askedUpTo = offset
        receivedUpTo = offset
    }

    /// What to ask for next; empty while the window is full.
    func nextRequests() -> [BlobRequest] {
        guard !isOver else { return [] }
        var requests: [BlobRequest] = []
        let window = TransportLimits.blobChunksAsked * WireLimits.chunkBytesMax
        // Until the size is known, one chunk is asked for.
        let end = total ?? (askedUpTo == receivedUpTo ? askedUpTo + WireLimits.chunkBytesMax : 0)
        while askedUpTo < end, askedUpTo - receivedUpTo + writingBytes < window {
            let length = min(WireLimits.chunkBytesMax, end - askedUpTo)
            requests.append(
                BlobRequest(id: blob, isManifest: isManifest, offset: askedUpTo, length: length))
            askedUpTo += length
        }
        return requests
    }

    /// Bytes came; `taken` is called on the loop when the sink has them.
    func receive(
        _ chunk: BlobChunk, on loop: any EventLoop, taken: @escaping @Sendable () -> Void
    ) {
        guard !isOver else { return }
        lastProgress = .now()
        let count = chunk.bytes.readableBytes
        guard total == nil || total == chunk.total else {
            return finish("the peer changed the blob's size on the way")
        }
        guard chunk.offset == receivedUpTo, receivedUpTo + count <= min(askedUpTo, chunk.total)
        else { return finish("the peer sent bytes out of order") }
        total = chunk.total
        // The first request asked for a whole chunk whatever the size.
        askedUpTo = min(askedUpTo, chunk.total)
        receivedUpTo += count
        writingBytes += count
        let isLast = receivedUpTo == chunk.total
        let sink = sink
        writers.runIfActive(eventLoop: loop) {
            try sink.write(chunk.bytes, at: chunk.offset, totalByteCount: chunk.total)
            if isLast { try sink.finish(totalByteCount: chunk.total) }
        }.whenComplete { result in
            self.writingBytes -= count
            self.lastProgress = .now()
            switch result {
            case .success:
                if isLast { self.finish(nil) }
            case .failure(let error):
                self.finish("the bytes were not accepted here: \(error)")
            }
            taken()
        }
    }

    /// The peer cannot send it; `over` is called on the loop when the fetch has ended.
    func receive(
        _ refusal: BlobRefusal, on loop: any EventLoop, over: @escaping @Sendable () -> Void
    ) {
        guard !isOver else { return }
        guard refusal.reason == .outOfRange, total == nil, receivedUpTo > 0 else {
            finish("the peer cannot send it: \(refusal.reason)")
            return over()
        }
        // Everything may be here already: the sink knows the blob's name.
        let sink = sink
        let size = receivedUpTo
        writers.runIfActive(eventLoop: loop) { try sink.finish(totalByteCount: size) }
            .whenComplete { result in
                switch result {
                case .success: self.finish(nil)
                case .failure(let error):
                    self.finish("the bytes were not accepted here: \(error)")
                }
                over()
            }
    }

    /// The end, once.
    func finish(_ failure: String?) {
        guard !isOver else { return }
        isOver = true
        completed(failure)
    }
}
