import Hummingbird
import NIOCore
import Testing

@testable import TesseraAPI

@Suite struct GRPCMessageTests {
    /// Messages with their prefixes, all but the last one compressed.
    private static func wire(_ texts: [String], _ coding: ContentCoding) throws -> ByteBuffer {
        var wire = ByteBuffer()
        for (number, text) in texts.enumerated() {
            var body = ByteBuffer(string: text)
            let isPacked = coding != .identity && number + 1 < texts.count
            if isPacked { body = try coding.compress([body]) }
            wire.writeInteger(UInt8(isPacked ? 1 : 0))
            wire.writeInteger(UInt32(body.readableBytes))
            wire.writeImmutableBuffer(body)
        }
        return wire
    }

    /// What a reader gives of bytes that come in pieces.
    private static func read(
        _ wire: ByteBuffer, by pieceBytes: Int, _ coding: ContentCoding, _ ledger: StreamLedger
    ) throws -> ByteBuffer {
        var reader = GRPCMessageReader(coding: coding, limit: 1 << 19, ledger: ledger)
        var result = ByteBuffer()
        var rest = wire
        while let piece = rest.readSlice(length: min(pieceBytes, rest.readableBytes)),
            piece.readableBytes > 0
        {
            let read = try reader.read(piece)
            result.writeImmutableBuffer(read)
        }
        return result
    }

    @Test(
        "messages are followed and inflated however their bytes are split",
        arguments: [ContentCoding.identity, .gzip, .deflate], [1, 7, 4_096, 1 << 20])
    func splits(coding: ContentCoding, pieceBytes: Int) throws {
        let texts = ["first", "", String(repeating: "long ", count: 40_000), "last"]
        let plain = try Self.wire(texts, .identity)
        let budget = BodyBudget(limit: 1 << 20)
        let ledger = StreamLedger(budget: budget)
        let result = try Self.read(
            try Self.wire(texts, coding), by: pieceBytes, coding, ledger)
        #expect(result == plain)
        #expect(budget.heldBytes == plain.readableBytes)
        for _ in texts { ledger.finishOne() }
        #expect(budget.heldBytes == 0)
    }

    @Test("what is not compressed as it says, too long or beyond the budget is refused")
    func refusals() throws {
        let budget = BodyBudget(limit: 1 << 18)
        let ledger = StreamLedger(budget: budget)
        let long = ByteBuffer(bytes: [0, 0, 9, 0, 0])
        let wrong = ByteBuffer(bytes: [1, 0, 0, 0, 3, 65, 65, 65])
        let large = try Self.wire([String(repeating: "a", count: 1 << 19), ""], .gzip)
        let bomb = try Self.wire([String(repeating: "a", count: 1 << 24), ""], .gzip)
        for (wire, status) in [(long, 413), (wrong, 400), (large, 429), (bomb, 413)] {
            do {
                _ = try Self.read(wire, by: 1 << 20, .gzip, ledger)
                Issue.record("\(status) is not refused")
            } catch let error as APIError {
                // A bomb ends at the budget or at the limit, whichever is less.
                #expect(error.status.code == status || error.status.code == 429)
            }
        }
        ledger.close()
        #expect(budget.heldBytes == 0)
    }
}
