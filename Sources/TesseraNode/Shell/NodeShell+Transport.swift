import Logging
import NIOCore
import TesseraCore
import TesseraWire

// What the transport says becomes events.

extension NodeShell: TransportDelegate {
    func connected(_ member: NodeBoot, address: Address) {
        handle(.connected(member, address: address))
    }

    func disconnected(_ member: NodeBoot, reason: String) {
        logger.info(
            "connection lost", metadata: ["node": "\(member.node)", "reason": "\(reason)"])
        handle(.disconnected(member))
    }

    func unreachable(_ address: Address, reason: String) {
        logger.debug(
            "nobody reached", metadata: ["address": "\(address)", "reason": "\(reason)"])
        handle(.unreachable(address))
    }

    func alreadyConnected(_ member: NodeBoot, dialled address: Address) {
        handle(.connected(member, address: address))
    }

    func refused(host: String, reason: String) {
        logger.warning("connection refused", metadata: ["host": "\(host)", "reason": "\(reason)"])
    }

    func received(_ message: Message, from member: NodeBoot) {
        guard case .mesh(.update(let records, let catalogue)) = message else {
            return handle(.received(message, from: member))
        }
        let valid = records.filter { isSigned($0) }
        if valid.count < records.count {
            logger.warning(
                "records without a valid signature dropped",
                metadata: ["from": "\(member.node)", "count": "\(records.count - valid.count)"])
            log.append(
                .limit("records without a valid signature", count: records.count - valid.count))
        }
        handle(.received(.mesh(.update(records: valid, catalogue: catalogue)), from: member))
    }

    private func isSigned(_ record: SignedRecord) -> Bool {
        // A record that cannot be encoded was not signed by anybody.
        guard let bytes = try? record.signedBytes() else { return false }
        return NodeIdentity.verify(
            record.signature, of: bytes.readableBytesView, publicKey: record.publicKey)
    }

    func sliceArrived(_ header: SliceHeader, _ bytes: ByteBuffer, from member: NodeBoot) {
        handle(.sliceArrived(header, payloads.insert(bytes), from: member))
    }

    func sliceTook(_ header: SliceHeader, nanoseconds: Int64, from member: NodeBoot) {
        traces?.transferred(header, from: member.node, nanoseconds: nanoseconds)
    }

    func sliceRefused(_ header: SliceHeader, from member: NodeBoot) {
        // The reservation should prevent this; the entry tries again.
        transport.send(
            .request(.failed(attempt: header.attempt, fragment: nil, reason: .full)),
            to: header.attempt.request.entry)
        log.append(.limit("bytes of arriving slices", count: 1))
    }

    func sliceCorrupt(_ header: SliceHeader, from member: NodeBoot, reason: String) {
        logger.warning(
            "a packed slice cannot be read",
            metadata: [
                "request": "\(header.attempt.request.text)", "from": "\(member.node)",
                "reason": "\(reason)",
            ])
        let failure = RequestMessage.failed(
            attempt: header.attempt, fragment: nil, reason: .malformedSlice)
        tellEntry(failure, of: header.attempt)
        log.append(.limit("packed slices that cannot be read", count: 1))
    }

    func peerUnpacks(_ member: NodeBoot) {
        handle(.unpacks(member))
    }

    func sliceSent(_ slice: SentSlice) {
        handle(.sliceSent(slice))
    }

    private func tellEntry(_ failure: RequestMessage, of attempt: AttemptID) {
        if attempt.request.entry == agent.me {
            handle(.received(.request(failure), from: agent.me))
        } else {
            transport.send(.request(failure), to: attempt.request.entry)
        }
    }

    func sliceDropped(_ header: SliceHeader, to member: NodeBoot) {
        let failure = RequestMessage.failed(
            attempt: header.attempt, fragment: nil, reason: .full)
        tellEntry(failure, of: header.attempt)
        log.append(.limit("slices queued for \(member.node)", count: 1))
    }

    func fetched(_ blob: BlobID, isManifest: Bool, from member: NodeBoot) {
        stored(blob, isManifest: isManifest)
    }

    func fetchFailed(_ blob: BlobID, isManifest: Bool, from member: NodeBoot, reason: String) {
        handle(.fetchFailed(blob, from: member.node, reason: reason))
    }

    func linkMeasured(_ measurement: LinkMeasurement, of member: NodeBoot) {
        handle(.linkMeasured(measurement))
    }
}
