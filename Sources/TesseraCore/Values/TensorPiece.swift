/// Which rows to take out of a payload.
///
/// The payload holds `blocks` blocks, one behind the other, each of `heldRows` rows of `rowBytes`
/// bytes: what lies before the row axis makes the blocks, what lies behind it the bytes of a row.
public struct RowCut: Hashable, Sendable {
    /// How many blocks.
    public var blocks: Int
    /// The bytes of a row in one block.
    public var rowBytes: Int
    /// The rows of each block that the payload holds.
    public var heldRows: Int
    /// The rows to take, counted from the first one that is held.
    public var rows: Range<Int>

    /// Makes a cut.
    public init(blocks: Int, rowBytes: Int, heldRows: Int, rows: Range<Int>) {
        self.blocks = blocks
        self.rowBytes = rowBytes
        self.heldRows = heldRows
        self.rows = rows
    }

    /// The bytes of what is taken.
    public var byteCount: Int { blocks * rowBytes * rows.count }
}

/// A payload, or some of its rows.
public struct TensorPiece: Hashable, Sendable {
    /// The payload.
    public var payload: Payload
    /// The rows to take; nil for all of it.
    public var cut: RowCut?

    /// Makes a piece.
    public init(payload: Payload, cut: RowCut? = nil) {
        self.payload = payload
        self.cut = cut
    }

    /// Blocks that the row axis is in, as far as the piece itself says it.
    public var blocks: Int { cut?.blocks ?? 1 }

    /// The bytes of the piece.
    public var byteCount: Int { cut?.byteCount ?? payload.byteCount }
}

/// A tensor that is put together from pieces, one above the other along the row axis.
public struct JoinedTensor: Hashable, Sendable {
    /// The pieces, first rows first; at least one.
    public var pieces: [TensorPiece]
    /// Blocks that the row axis is in: each piece gives its rows of each of them.
    public var blocks: Int

    /// Makes a tensor of pieces.
    public init(pieces: [TensorPiece], blocks: Int = 1) {
        self.pieces = pieces
        self.blocks = blocks
    }

    /// The payload that is this tensor as it lies in memory; nil if something must be copied.
    public var payload: Payload? {
        pieces.count == 1 && pieces[0].cut == nil ? pieces[0].payload : nil
    }

    /// The bytes of the tensor.
    public var byteCount: Int { pieces.reduce(0) { $0 + $1.byteCount } }
}

extension ModelOutline {
    /// How to take `rows` of a tensor out of a payload that holds `held` of it (nil: all); nil if
    /// that is all of the payload.
    ///
    /// - Precondition: `rows` lie within `held`.
    func cut(_ rows: Range<Int>?, of tensor: Int, held: Range<Int>?) -> RowCut? {
        guard rows != held, let axis = tensors[tensor].rowAxis else { return nil }
        let descriptor = tensors[tensor].descriptor
        let all = 0..<descriptor.shape[axis]
        let have = held ?? all
        let wanted = rows ?? all
        invariant(
            wanted.lowerBound >= have.lowerBound && wanted.upperBound <= have.upperBound,
            "rows \(wanted) are wanted out of \(have)")
        if wanted == have { return nil }
        return RowCut(
            blocks: blocks(ofTensor: tensor),
            rowBytes: descriptor.shape[(axis + 1)...].reduce(descriptor.type.byteCount, *),
            heldRows: have.count,
            rows: (wanted.lowerBound - have.lowerBound)..<(wanted.upperBound - have.lowerBound))
    }

    /// How many blocks the row axis of a tensor is in: the product of the extents before it.
    func blocks(ofTensor tensor: Int) -> Int {
        guard let axis = tensors[tensor].rowAxis else { return 1 }
        return tensors[tensor].descriptor.shape[..<axis].reduce(1, *)
    }

    /// The descriptor of what a route carries.
    public func descriptor(of route: Route) -> TensorDescriptor {
        descriptor(ofTensor: route.tensor, rows: route.rows)
    }

    /// A tensor's descriptor with only some of its rows.
    func descriptor(ofTensor tensor: Int, rows: Range<Int>?) -> TensorDescriptor {
        var result = tensors[tensor].descriptor
        if let rows, let axis = tensors[tensor].rowAxis { result.shape[axis] = rows.count }
        return result
    }
}
