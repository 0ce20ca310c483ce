import NIOCore
import NIOPosix
import TesseraCodec
import TesseraCore
import TesseraWire

/// What comes in. The socket is always read: TCP is never the backpressure.
extension DataConnection {
    /// Takes a frame of an open connection.
    func receive(_ frame: Frame, from member: NodeBoot) throws {
        switch frame {
        case .sliceBegin(let begin): try receive(begin, from: member)
        case .sliceBytes(let stream, let bytes): try receive(bytes, of: stream, from: member)
        case .sliceAbort(let stream):
            discard(stream)
            discarded[stream] = nil
        case .transferred(let bytes, var microseconds):
            var isTrial = false
            if let trial = trialSent, trial.bytes == bytes {
                isTrial = true
                // What waited in the kernel looks infinitely fast to the receiver.
                let elapsed = (NIODeadline.now() - trial.began).nanoseconds / 1_000
                microseconds = max(microseconds, elapsed)
                trialSent = nil
            }
            measured(bytes: bytes, microseconds: microseconds, isTrial: isTrial, of: member)
        case .trial(let left, let bytes): receiveTrial(bytes.readableBytes, left: left)
        case .blobRequest(let request): serve(request)
        case .blobChunk(let chunk): receive(chunk)
        case .blobRefusal(let refusal):
            guard let fetch = fetches[refusal.id] else { return }
            fetch.receive(refusal, on: loop) { self.askMore(fetch) }
        case .keepalive: break
        default: throw WireError.unexpectedFrame("on a data connection")
        }
    }

    // MARK: Slices

    private func receive(_ begin: SliceBegin, from member: NodeBoot) throws(WireError) {
        let stream = begin.stream
        guard incoming[stream] == nil, discarded[stream] == nil else {
            throw .duplicate(what: "stream")
        }
        guard begin.totalBytes > 0 else {
            return deliver(begin.header, ByteBuffer(), since: .now(), from: member)
        }
        guard incoming.count + discarded.count < TransportLimits.openSlicesMax else {
            throw .limitExceeded(what: "open streams", max: TransportLimits.openSlicesMax)
        }
        var slice = IncomingSlice(
            header: begin.header, codec: begin.codec, expected: begin.totalBytes,
            bytes: ByteBuffer(), began: .now(), receivedBefore: receivedSliceBytes)
        guard transport.budget.take(slice.budgetBytes) else {
            discarded[stream] = begin.totalBytes
            transport.counters.change { $0.slicesRefused += 1 }
            return transport.tell { $0.sliceRefused(begin.header, from: member) }
        }
        slice.bytes = ByteBufferAllocator().buffer(capacity: begin.totalBytes)
        incoming[stream] = slice
    }

    private func receive(
        _ bytes: ByteBuffer, of stream: UInt32, from member: NodeBoot
    ) throws(WireError) {
        let count = bytes.readableBytes
        receivedSliceBytes += count
        if let left = discarded[stream] {
            guard count <= left else { throw .limitExceeded(what: "slice bytes", max: left) }
            discarded[stream] = count == left ? nil : left - count
            return
        }
        // Taken out, so that the buffer has one owner and is not copied by the write.
        guard var slice = incoming.removeValue(forKey: stream) else {
            throw .unknownStream(stream)
        }
        guard slice.bytes.readableBytes + count <= slice.expected else {
            transport.budget.giveBack(slice.budgetBytes)
            throw .limitExceeded(what: "slice bytes", max: slice.expected)
        }
        slice.bytes.writeImmutableBuffer(bytes)
        transport.counters.change {
            $0.sliceBytesReceived += count
            $0.sliceBytesCopiedReceiving += count
        }
        guard slice.bytes.readableBytes == slice.expected else {
            incoming[stream] = slice
            return
        }
        report(since: slice.began, bytes: receivedSliceBytes - slice.receivedBefore, size: slice)
        guard slice.codec == .none else { return unpack(slice, from: member) }
        transport.budget.giveBack(slice.budgetBytes)
        deliver(slice.header, slice.bytes, since: slice.began, from: member)
    }

    /// Unpacks a slice on a thread for that, and delivers it.
    private func unpack(_ slice: IncomingSlice, from member: NodeBoot) {
        let transport = transport
        transport.packers.submit { state in
            guard case .active = state else {
                return transport.budget.giveBack(slice.budgetBytes)
            }
            do throws(CodecError) {
                let begin = NIODeadline.now()
                let bytes = try TensorCodec.unpack(
                    slice.bytes, type: slice.header.type, shape: slice.header.shape,
                    by: slice.codec)
                let span = (NIODeadline.now() - begin).nanoseconds
                transport.counters.change {
                    $0.unpacked.add(
                        slice.codec, plain: bytes.readableBytes, packed: slice.expected,
                        nanoseconds: span)
                }
                transport.budget.giveBack(slice.budgetBytes)
                self.deliver(slice.header, bytes, since: slice.began, from: member)
            } catch {
                // First: who is told may have the next slice on its way.
                transport.budget.giveBack(slice.budgetBytes)
                transport.counters.change { $0.slicesCorrupt += 1 }
                transport.tell {
                    $0.sliceCorrupt(slice.header, from: member, reason: "\(error)")
                }
            }
        }
    }

    private func deliver(
        _ header: SliceHeader, _ bytes: ByteBuffer, since began: NIODeadline,
        from member: NodeBoot
    ) {
        transport.counters.change { $0.slicesReceived += 1 }
        let span = (NIODeadline.now() - began).nanoseconds
        transport.controlLoop.execute {
            if header.trace != nil {
                self.transport.delegate?.sliceTook(header, nanoseconds: span, from: member)
            }
            self.transport.sliceArrived(header, bytes, from: member)
        }
    }

    /// Passes on what a transfer says of the link: what the kernel saw, else what the ends timed.
    private func measured(
        bytes: Int, microseconds: Int64, isTrial: Bool, of member: NodeBoot
    ) {
        guard let channel = context?.channel else { return }
        let transport = transport
        KernelRate.of(channel) { now in
            self.loop.assumeIsolated().execute {
                let transfer = isTrial ? self.endTrial(now) : self.endLargeSlice(now)
                transport.controlLoop.execute {
                    transport.transferMeasured(
                        bytes: bytes, microseconds: microseconds, kernel: now,
                        transfer: transfer, isTrial: isTrial, of: member)
                }
            }
        }
    }

    /// What was delivered since the trial began.
    private func endTrial(_ now: KernelRate?) -> (bytes: UInt64, microseconds: UInt64)? {
        defer { trialSince = nil }
        guard let now, let since = trialSince else { return nil }
        return now.since(since)
    }

    /// What was delivered since the large slice began, or since the one before it ended.
    private func endLargeSlice(
        _ now: KernelRate?
    ) -> (bytes: UInt64, microseconds: UInt64)? {
        largeSlices.open = max(largeSlices.open - 1, 0)
        defer { largeSlices.since = largeSlices.open > 0 ? now : nil }
        guard let now, let since = largeSlices.since else { return nil }
        return now.since(since)
    }

    /// Tells the sender how fast its link is, from a slice large enough to say so.
    private func report(since began: NIODeadline, bytes: Int, size slice: IncomingSlice) {
        guard slice.expected >= TransportLimits.measuredBytesMin(slice.codec) else { return }
        let microseconds = max(1, (NIODeadline.now() - began).nanoseconds / 1_000)
        frames.append(.transferred(bytes: bytes, microseconds: microseconds))
        pump()
    }

    /// Counts a trial's bytes from the end of its first frame on: by then the way is open.
    private func receiveTrial(_ count: Int, left: Int) {
        guard var trial = incomingTrial else {
            incomingTrial = left > 0 ? (began: .now(), bytes: 0) : nil
            return
        }
        trial.bytes += count
        incomingTrial = left > 0 ? trial : nil
        guard left == 0, trial.bytes > 0 else { return }
        let microseconds = max(1, (NIODeadline.now() - trial.began).nanoseconds / 1_000)
        frames.append(.transferred(bytes: trial.bytes, microseconds: microseconds))
        pump()
    }

    /// Throws away what came of a slice and lets the rest pass by.
    func discard(_ stream: UInt32) {
        guard let slice = incoming.removeValue(forKey: stream) else { return }
        transport.budget.giveBack(slice.budgetBytes)
        discarded[stream] = slice.expected - slice.bytes.readableBytes
    }

    // MARK: Blobs, as the one who asks

    /// Begins fetches; from everywhere.
    func fetch(_ newFetches: [BlobFetch]) {
        loop.execute {
            for fetch in newFetches {
                guard case .open = self.state else {
                    fetch.finish("the data connection is closed")
                    continue
                }
                guard self.fetches[fetch.blob]?.isOver != false else {
                    fetch.finish("it is being fetched from that peer already")
                    continue
                }
                self.fetches[fetch.blob] = fetch
                self.askMore(fetch)
            }
            self.watchSilence()
        }
    }

    private func askMore(_ fetch: BlobFetch) {
        if fetch.isOver, fetches[fetch.blob] === fetch { fetches[fetch.blob] = nil }
        for request in fetch.nextRequests() { frames.append(.blobRequest(request)) }
        pump()
    }

    private func receive(_ chunk: BlobChunk) {
        transport.counters.change { $0.blobBytesReceived += chunk.bytes.readableBytes }
        // A chunk of a fetch that is over is no fault of the peer's.
        guard let fetch = fetches[chunk.id] else { return }
        fetch.receive(chunk, on: loop) { self.askMore(fetch) }
        askMore(fetch)
    }

    private func watchSilence() {
        guard silenceTimer == nil, !fetches.isEmpty else { return }
        silenceTimer = loop.assumeIsolated()
            .scheduleTask(in: TransportLimits.fetchSilenceCheck) {
                self.silenceTimer = nil
                let limit = NIODeadline.now() - TransportLimits.fetchSilenceMax
                for fetch in self.fetches.values where fetch.lastProgress < limit {
                    fetch.finish("the peer sent nothing for too long")
                    self.fetches[fetch.blob] = nil
                }
                self.watchSilence()
            }
    }

    // MARK: Blobs, as the one who is asked

    private func serve(_ request: BlobRequest) {
        guard asked.count < TransportLimits.blobRequestsPerPeer else {
            frames.append(.blobRefusal(BlobRefusal(id: request.id, reason: .busy)))
            return pump()
        }
        asked.append(request)
        serveNext()
    }

    /// Reads one chunk at a time, in order, off the loop.
    ///
    /// What is read waits in memory until it is sent, so only a few chunks are read ahead.
    func serveNext() {
        guard !isReadingBlob, blobs.count < TransportLimits.blobChunksAsked,
            let request = asked.popFirst()
        else { return }
        isReadingBlob = true
        let source = transport.blobs
        transport.readers.runIfActive(eventLoop: loop) {
            try source.read(
                request.id, isManifest: request.isManifest, offset: request.offset,
                length: min(request.length, WireLimits.chunkBytesMax))
        }.whenComplete { result in
            self.isReadingBlob = false
            self.answer(request, result)
            self.serveNext()
        }
    }

    private func answer(_ request: BlobRequest, _ result: Result<BlobPiece, any Error>) {
        guard member != nil else { return }
        switch result {
        case .success(let piece)
        where piece.bytes.readableBytes > 0 || (piece.totalByteCount, request.offset) == (0, 0):
            blobs.append(
                BlobChunk(
                    id: request.id, offset: request.offset, total: piece.totalByteCount,
                    bytes: piece.bytes))
            var rest = request
            rest.offset += piece.bytes.readableBytes
            rest.length -= piece.bytes.readableBytes
            if rest.length > 0, rest.offset < piece.totalByteCount { asked.prepend(rest) }
        case .success:
            frames.append(.blobRefusal(BlobRefusal(id: request.id, reason: .outOfRange)))
        case .failure(let error):
            let reason: BlobRefusal.Reason =
                error as? BlobSourceError == .missing ? .missing : .unreadable
            frames.append(.blobRefusal(BlobRefusal(id: request.id, reason: reason)))
        }
        pump()
    }
}
