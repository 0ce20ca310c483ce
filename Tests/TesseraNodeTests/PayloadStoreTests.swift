import NIOCore
import TesseraCore
import Testing

@testable import TesseraNode

@Suite struct PayloadStoreTests {
    /// Two channels of four rows of three bytes, numbered.
    private static let image = ByteBuffer(bytes: (0..<24).map { UInt8($0) })

    private static func cut(_ rows: Range<Int>, of held: Int) -> RowCut {
        RowCut(blocks: 2, rowBytes: 3, heldRows: held, rows: rows)
    }

    @Test("what is wanted whole is not copied")
    func whole() {
        var store = PayloadStore()
        let payload = store.insert(Self.image)
        let bytes = store.bytes(of: TensorPiece(payload: payload))
        bytes.withUnsafeReadableBytes { mine in
            Self.image.withUnsafeReadableBytes { theirs in
                #expect(mine.baseAddress == theirs.baseAddress)
            }
        }
    }

    @Test("rows are taken out of every block")
    func rows() {
        var store = PayloadStore()
        let payload = store.insert(Self.image)
        let piece = TensorPiece(payload: payload, cut: Self.cut(1..<3, of: 4))
        #expect(
            Array(store.bytes(of: piece).readableBytesView)
                == [3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20])
    }

    @Test("pieces are put together again, whole payloads and parts of them alike")
    func joined() {
        for middle in 1..<4 {
            var store = PayloadStore()
            let image = store.insert(Self.image)
            let upper = store.insert(
                store.bytes(of: TensorPiece(payload: image, cut: Self.cut(0..<middle, of: 4))))
            let pieces = [
                TensorPiece(payload: upper),
                TensorPiece(payload: image, cut: Self.cut(middle..<4, of: 4)),
            ]
            let tensor = JoinedTensor(pieces: pieces, blocks: 2)
            #expect(tensor.byteCount == 24)
            #expect(store.source(of: tensor).bytes() == Self.image)
        }
    }
}
