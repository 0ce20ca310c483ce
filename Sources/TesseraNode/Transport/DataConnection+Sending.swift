import NIOCore
import TesseraCore
import TesseraWire

/// What goes out: small frames first, then slices in turn chunk by chunk, then blobs.
extension DataConnection {
    /// Queues slices; from everywhere.
    func send(_ newSlices: [OutgoingSlice]) {
        loop.execute {
            guard case .open(let member) = self.state else { return }
            for slice in newSlices {
                if self.slices.count < TransportLimits.queuedSlicesMax {
                    self.slices.append(slice)
                } else {
                    self.transport.counters.change { $0.slicesDropped += 1 }
                    self.transport.tell { $0.sliceDropped(slice.header, to: member) }
                    self.transport.gone(slice)
                }
            }
            self.pump()
        }
    }

    /// Sends bytes that mean nothing, when nothing else waits, so that the peer can say how fast they
    /// came; from everywhere.
    func tryLink(frames: Int) {
        loop.execute {
            guard case .open = self.state, self.trialFramesLeft == 0 else { return }
            self.trialFramesLeft = min(frames, WireLimits.trialFramesMax)
            self.trialSent = (
                began: .now(), bytes: (self.trialFramesLeft - 1) * WireLimits.trialBytesMax
            )
            self.trialSince = nil
            guard let channel = self.context?.channel else { return }
            KernelRate.of(channel) { rate in
                self.loop.assumeIsolated().execute {
                    self.trialSince = rate
                    self.pump()
                }
            }
        }
    }

    /// Gives up every slice of an attempt, in both directions; from everywhere.
    func cancel(_ attempt: AttemptID) {
        loop.execute {
            for slice in self.slices where slice.header.attempt == attempt && slice.stream != 0 {
                self.frames.append(.sliceAbort(stream: slice.stream))
            }
            for slice in self.slices where slice.header.attempt == attempt {
                self.transport.gone(slice)
            }
            self.slices.removeAll { $0.header.attempt == attempt }
            for (stream, slice) in self.incoming where slice.header.attempt == attempt {
                self.discard(stream)
            }
            self.pump()
        }
    }

    /// Sends as long as the kernel takes it quickly; the completion of each write goes on.
    func pump() {
        guard !isPumping, let context, member != nil else { return }
        isPumping = true
        defer { isPumping = false }
        do throws(WireError) {
            while inFlightBytes < TransportLimits.inFlightBytesMax {
                if let frame = frames.popFirst() {
                    try write(frame, to: context)
                } else if isBlobNext, let chunk = blobs.popFirst() {
                    sliceChunksSinceBlob = 0
                    let parts = try encoder.blobChunk(chunk)
                    transport.counters.change { $0.blobBytesSent += parts.payload.readableBytes }
                    write(parts.head, parts.payload, to: context)
                    serveNext()
                } else if let slice = slices.popFirst() {
                    try writeChunk(of: slice, to: context)
                } else if trialFramesLeft > 0 {
                    trialFramesLeft -= 1
                    let bytes = ByteBuffer(repeating: 0, count: WireLimits.trialBytesMax)
                    try write(.trial(left: trialFramesLeft, bytes), to: context)
                } else {
                    break
                }
            }
        } catch {
            fail(error)
        }
    }

    private var isBlobNext: Bool {
        guard !blobs.isEmpty else { return false }
        return slices.isEmpty || sliceChunksSinceBlob >= TransportLimits.blobShare - 1
    }

    private func writeChunk(
        of next: OutgoingSlice, to context: ChannelHandlerContext
    ) throws(WireError) {
        var slice = next
        var head = ByteBufferAllocator().buffer(capacity: 256)
        if slice.stream == 0 {
            lastStream = lastStream == .max ? 1 : lastStream + 1
            slice.stream = lastStream
            let begin = SliceBegin(
                stream: slice.stream, header: slice.header,
                totalBytes: slice.bytes.readableBytes, codec: slice.codec)
            try encoder.write(.sliceBegin(begin), into: &head)
            if begin.totalBytes >= TransportLimits.measuredBytesMin(slice.codec) {
                beginLargeSlice(context.channel)
            }
        }
        var payload = ByteBuffer()
        if let chunk = try encoder.nextSliceChunk(stream: slice.stream, from: &slice.bytes) {
            head.writeImmutableBuffer(chunk.head)
            payload = chunk.payload
        }
        let isDone = slice.bytes.readableBytes == 0
        transport.counters.change {
            $0.sliceBytesSent += payload.readableBytes
            if isDone { $0.slicesSent += 1 }
        }
        // To the end of the queue: slices take turns, so a small one never waits for a large one.
        if !isDone { slices.append(slice) }
        sliceChunksSinceBlob += 1
        write(head, payload, telling: isDone ? slice.sent : nil, to: context)
    }

    /// Looks how much was delivered before a slice that is large enough to say how fast the link is.
    private func beginLargeSlice(_ channel: any Channel) {
        let now = NIODeadline.now()
        // One that was given up on the way is never reported.
        if now - largeSlices.began > TransportLimits.largeSliceForgotten { largeSlices.open = 0 }
        largeSlices.began = now
        largeSlices.open += 1
        guard largeSlices.open == 1 else { return }
        KernelRate.of(channel) { rate in
            self.loop.assumeIsolated().execute { self.largeSlices.since = rate }
        }
    }

    private func write(
        _ frame: Frame, to context: ChannelHandlerContext
    ) throws(WireError) {
        var buffer = ByteBufferAllocator().buffer(capacity: 128)
        try encoder.write(frame, into: &buffer)
        write(buffer, ByteBuffer(), to: context)
    }

    private func write(
        _ head: ByteBuffer, _ payload: ByteBuffer, telling sent: SentSlice? = nil,
        to context: ChannelHandlerContext
    ) {
        let count = head.readableBytes + payload.readableBytes
        inFlightBytes += count
        if let member { transport.counters.moved(sent: count, of: member.node) }
        let promise = loop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in
            self.inFlightBytes -= count
            if let sent { self.transport.tell { $0.sliceSent(sent) } }
            self.pump()
        }
        if payload.readableBytes == 0 {
            context.writeAndFlush(wrapOutboundOut(head), promise: promise)
        } else {
            context.write(wrapOutboundOut(head), promise: nil)
            context.writeAndFlush(wrapOutboundOut(payload), promise: promise)
        }
    }
}
