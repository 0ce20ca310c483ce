package import TesseraCore

extension SliceHeader: WireValue {
    /// Attempt, route (4 bytes), element type (1 byte), rank (1 byte), extents (4 bytes each),
    /// remaining microseconds (8 bytes).
    ///
    /// The trace is not among it: it came with version 2, behind the header; nor is what was left
    /// out, which came with version 3.
    package func encode(into writer: inout WireWriter) {
        writer.write(attempt)
        writer.write(count: route, "route index", max: WireLimits.routesMax - 1)
        writer.write(type)
        writer.check { () throws(WireError) in _ = try checkedByteCount() }
        writer.write(UInt8(truncatingIfNeeded: shape.count))
        for extent in shape { writer.write(UInt32(truncatingIfNeeded: extent)) }
        writer.write(remaining: remaining)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let attempt = try reader.read(AttemptID.self)
        let route = try reader.readCount("route index", max: WireLimits.routesMax - 1)
        let type = try reader.readChoice("element type", as: ElementType.self)
        let rank = Int(try reader.read("rank", as: UInt8.self))
        guard rank <= WireLimits.rankMax else {
            throw .limitExceeded(what: "rank", max: WireLimits.rankMax)
        }
        var shape: [Int] = []
        shape.reserveCapacity(rank)
        for _ in 0..<rank { shape.append(Int(try reader.read("extent", as: UInt32.self))) }
        self.init(
            attempt: attempt, route: route, type: type, shape: shape,
            remaining: try reader.readRemaining("remaining time"))
        _ = try checkedByteCount()
    }

    /// The bytes of the slice, computed without overflow whatever the extents are.
    func checkedByteCount() throws(WireError) -> Int {
        guard shape.count <= WireLimits.rankMax else {
            throw .limitExceeded(what: "rank", max: WireLimits.rankMax)
        }
        var product = type.byteCount
        for extent in shape {
            guard extent >= 0 else { throw .invalidValue(what: "extent") }
            guard extent <= UInt32.max else {
                throw .limitExceeded(what: "extent", max: Int(UInt32.max))
            }
            // Each partial product is below 2^31 and each extent below 2^32: no overflow.
            product *= extent
            guard product <= WireLimits.sliceBytesMax else {
                throw .limitExceeded(what: "slice bytes", max: WireLimits.sliceBytesMax)
            }
        }
        return product
    }
}

extension WireWriter {
    /// Tensors that were left out: count and each as 4 bytes.
    mutating func write(leftOut tensors: [Int]) {
        if zip(tensors, tensors.dropFirst()).contains(where: { $0 >= $1 }) {
            note(.invalidValue(what: "left out"))
        }
        write(count: tensors.count, "left out", max: WireLimits.leftOutMax)
        for tensor in tensors { write(count: tensor, "left out", max: WireLimits.modelPartsMax) }
    }
}

extension WireReader {
    /// Reads tensors that were left out.
    mutating func readLeftOut() throws(WireError) -> [Int] {
        var tensors: [Int] = []
        for _ in 0..<(try readCount("left out", max: WireLimits.leftOutMax)) {
            let tensor = try readCount("left out", max: WireLimits.modelPartsMax)
            guard tensors.last.map({ $0 < tensor }) ?? true else {
                throw .invalidValue(what: "left out")
            }
            tensors.append(tensor)
        }
        return tensors
    }
}
