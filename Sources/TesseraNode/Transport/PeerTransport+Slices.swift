public import NIOCore
import NIOPosix
import TesseraCodec
public import TesseraCore

// Slices on their way out: packed on a thread for that where a codec is asked for.

extension PeerTransport {
    /// Sends a slice over the data connection; drops it if the run is not connected.
    ///
    /// Without a codec nothing is copied. One that does not make the slice smaller, or that the peer
    /// does not know, is left out. `sliceSent` follows for slices of `LinkCodecs.bytesMin` to peers
    /// that know codecs.
    public func sendSlice(
        _ header: SliceHeader, _ bytes: ByteBuffer, codec: Codec = .none, to member: NodeBoot
    ) {
        controlLoop.preconditionInEventLoop()
        guard bytes.readableBytes == header.byteCount else {
            fatalError("a slice of \(bytes.readableBytes) bytes for the header \(header)")
        }
        guard let session = session(member) else {
            return counters.change { $0.messagesDropped += 1 }
        }
        var slice = OutgoingSlice(header: header, bytes: bytes)
        guard session.hasCodecs, bytes.readableBytes >= LinkCodecs.bytesMin else {
            return send(slice, over: session)
        }
        slice.sent = SentSlice(
            peer: member, plan: header.attempt.plan, route: header.route, codec: codec,
            byteCount: bytes.readableBytes, sentByteCount: bytes.readableBytes,
            packMicroseconds: 0)
        guard codec != .none else { return send(slice, over: session) }
        pack(slice, by: codec, for: member)
    }

    private func pack(_ slice: OutgoingSlice, by codec: Codec, for member: NodeBoot) {
        let attempt = slice.header.attempt
        packing[attempt, default: 0] += 1
        packers.submit { state in
            guard case .active = state else { return }
            var slice = slice
            let begin = NIODeadline.now()
            let packed = TensorCodec.pack(
                slice.bytes, type: slice.header.type, shape: slice.header.shape, by: codec)
            let span = (NIODeadline.now() - begin).nanoseconds
            let plain = slice.bytes.readableBytes
            if let packed {
                slice.bytes = packed
                slice.codec = codec
                self.counters.change {
                    $0.packed.add(
                        codec, plain: plain, packed: packed.readableBytes, nanoseconds: span)
                }
            }
            slice.sent?.sentByteCount = slice.bytes.readableBytes
            slice.sent?.packMicroseconds = max(1, span / 1_000)
            self.controlLoop.execute { [slice] in self.packed(slice, for: member) }
        }
    }

    /// A slice is packed: it goes, unless its attempt was given up meanwhile.
    private func packed(_ slice: OutgoingSlice, for member: NodeBoot) {
        let attempt = slice.header.attempt
        // Given up: `cancelSlices` has taken it out.
        guard let count = packing[attempt] else { return gone(slice) }
        packing[attempt] = count > 1 ? count - 1 : nil
        guard let session = session(member) else {
            return counters.change { $0.messagesDropped += 1 }
        }
        send(slice, over: session)
    }

    private func send(_ slice: OutgoingSlice, over session: PeerSession) {
        if let data = session.data.first {
            data.send([slice])
        } else if session.waitingSlices.count < TransportLimits.queuedSlicesMax {
            session.waitingSlices.append(slice)
        } else {
            counters.change { $0.slicesDropped += 1 }
            let member = session.member
            tell { $0.sliceDropped(slice.header, to: member) }
            gone(slice)
        }
    }

    /// A slice waits for the link no more; from everywhere.
    func gone(_ slice: OutgoingSlice) {
        guard let sent = slice.sent else { return }
        tell { $0.sliceSent(sent) }
    }

    /// Gives up every slice of an attempt that is on its way, out or in.
    public func cancelSlices(_ attempt: AttemptID) {
        controlLoop.preconditionInEventLoop()
        packing[attempt] = nil
        for session in sessions.values {
            for slice in session.waitingSlices where slice.header.attempt == attempt {
                gone(slice)
            }
            session.waitingSlices.removeAll { $0.header.attempt == attempt }
            session.data.forEach { $0.cancel(attempt) }
        }
    }
}
