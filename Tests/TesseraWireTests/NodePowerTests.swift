import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

/// The power in a node's capability, which versions 1 and 2 of the protocol do not know.
@Suite struct NodePowerTests {
    private func capability(_ milliwatts: Int?, hasHandover: Bool) -> Capability {
        Capability(
            threads: 3, memoryBytes: 5, diskBytes: 7, operationsPerMicrosecond: 11,
            movedBytesPerMicrosecond: 13,
            handover: hasHandover
                ? HandoverCost(nanosecondsPerSlice: 17, picosecondsPerByte: 19) : nil,
            milliwatts: milliwatts, fingerprint: EngineFingerprint(text: "e"))
    }

    private func record(_ milliwatts: Int?) -> SignedRecord {
        var generator = SampleGenerator(seed: 4)
        let key: [UInt8] = [1, 2, 3]
        var record = generator.record(of: key.withUnsafeBytes { NodeID(sha256Of: $0) })
        record.capability = capability(milliwatts, hasHandover: true)
        return SignedRecord(record: record, publicKey: key, signature: [9])
    }

    private func bytes(_ value: some WireValue, version: UInt16 = 3) throws -> [UInt8] {
        var writer = WireWriter()
        writer.version = version
        value.encode(into: &writer)
        return Array(try writer.finish().readableBytesView)
    }

    @Test("without a power a capability has the bytes that it had before there was one")
    func unchanged() throws {
        let head: [UInt8] =
            [0, 0, 0, 3] + [0, 0, 0, 0, 0, 0, 0, 5] + [0, 0, 0, 0, 0, 0, 0, 7]
            + [0, 0, 0, 0, 0, 0, 0, 11] + [0, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 13]
        let print: [UInt8] = [0, 1, 0x65]
        let handover: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 17] + [0, 0, 0, 0, 0, 0, 0, 19]
        #expect(try bytes(capability(nil, hasHandover: false)) == head + [0] + print)
        #expect(try bytes(capability(nil, hasHandover: true)) == head + [1] + handover + print)
        #expect(
            try bytes(capability(6_400, hasHandover: false)) == head + [2] + [0, 0, 0x19, 0]
                + print)
        #expect(
            try bytes(capability(6_400, hasHandover: true)) == head + [3] + handover
                + [0, 0, 0x19, 0] + print)
    }

    @Test("a capability comes back with its power, and other parts are refused")
    func roundTrip() throws {
        for milliwatts in [nil, 0, 6_400, Capability.milliwattsMax] {
            for hasHandover in [false, true] {
                let sent = capability(milliwatts, hasHandover: hasHandover)
                var reader = WireReader(ByteBuffer(bytes: try bytes(sent)))
                #expect(try Capability(from: &reader) == sent)
                try reader.finish()
            }
        }
        var wrong = try bytes(capability(nil, hasHandover: false))
        wrong[wrong.count - 4] = 4
        var reader = WireReader(ByteBuffer(bytes: wrong))
        #expect(throws: WireError.invalidValue(what: "parts of a capability")) {
            try Capability(from: &reader)
        }
        #expect(throws: WireError.self) {
            try bytes(capability(Capability.milliwattsMax + 1, hasHandover: false))
        }
    }

    @Test("peers of version 2 refuse a power, and so are not told records that have one")
    func olderPeers() throws {
        let power = capability(6_400, hasHandover: true)
        var reader = WireReader(ByteBuffer(bytes: try bytes(power)))
        reader.version = 2
        #expect(throws: WireError.invalidValue(what: "parts of a capability")) {
            try Capability(from: &reader)
        }
        var other = record(nil)
        other.record.member.boot = Boot(counter: 9, random: 9)
        let update = MeshMessage.update(records: [record(6_400), other], catalogue: [])
        let told = MeshMessage.update(records: [other], catalogue: [])
        #expect(try bytes(update, version: 2) == bytes(told, version: 2))
        #expect(try bytes(update, version: 3) != bytes(told, version: 3))
        // Without a power nothing differs between the versions.
        #expect(try bytes(told, version: 2) == bytes(told, version: 3))
        #expect(Capability.isPowerKnown(toVersion: 3) && !Capability.isPowerKnown(toVersion: 2))
    }
}
