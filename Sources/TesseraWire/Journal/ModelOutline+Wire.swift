package import TesseraCore

// Outlines travel in journals only: between nodes a manifest does, and each derives its own.

extension ModelOutline.Operator: WireValue {
    /// Name, kind, operations, moved bytes (8 bytes each), blobs, reads (lists of 4 bytes), optional
    /// row needs (list), rows (4 bytes), whether its rows are exact (1 byte).
    package func encode(into writer: inout WireWriter) {
        writer.write(text: name, "operator name", max: JournalLimits.textBytesMax)
        writer.write(text: kind, "operator kind", max: JournalLimits.textBytesMax)
        writer.write(operationCount)
        writer.write(movedBytes)
        writer.write(indices: blobs, "blob index")
        writer.write(indices: reads, "tensor index")
        writer.write(rowNeeds != nil)
        if let rowNeeds { writer.write(list: rowNeeds, "row needs", max: JournalLimits.partsMax) }
        writer.write(count: rowCount, "rows", max: WireLimits.rowsMax)
        writer.write(hasExactRows)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            name: try reader.readText("operator name", max: JournalLimits.textBytesMax),
            kind: try reader.readText("operator kind", max: JournalLimits.textBytesMax),
            operationCount: try reader.read("operations"),
            movedBytes: try reader.read("moved bytes"),
            blobs: try reader.readIndices("blob index"),
            reads: try reader.readIndices("tensor index"),
            rowNeeds: try reader.readFlag("row needs")
                ? try reader.readList("row needs", max: JournalLimits.partsMax) : nil,
            rowCount: try reader.readCount("rows", max: WireLimits.rowsMax),
            hasExactRows: try reader.readFlag("exact rows"))
    }
}

extension RowNeed: WireValue {
    /// 0 for all rows; 1, scale, lower, upper, divisor (8 bytes each) for a window.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .all:
            writer.write(0 as UInt8)
        case .window(let window):
            writer.write(1 as UInt8)
            if !window.isLegal { writer.note(.invalidValue(what: "row window")) }
            for figure in [window.scale, window.lower, window.upper, window.divisor] {
                writer.write(Int64(figure))
            }
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read("row need", as: UInt8.self) {
        case 0:
            self = .all
        case 1:
            var figures: [Int] = []
            for _ in 0..<4 { figures.append(Int(try reader.read("row window", as: Int64.self))) }
            let window = RowWindow(
                scale: figures[0], lower: figures[1], upper: figures[2], divisor: figures[3])
            guard window.isLegal else { throw .invalidValue(what: "row window") }
            self = .window(window)
        default:
            throw .invalidValue(what: "row need")
        }
    }
}

extension RowWindow {
    /// Whether rows can be computed with it without overflow.
    fileprivate var isLegal: Bool {
        let bound = WireLimits.rowsMax
        return (1...bound).contains(scale) && (1...bound).contains(divisor)
            && (-bound...bound).contains(lower) && (-bound...bound).contains(upper)
    }
}

extension TensorDescriptor: WireValue {
    /// Name, type (1 byte), rank (1 byte), extents (4 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(text: name, "tensor name", max: JournalLimits.textBytesMax)
        writer.write(type)
        if !isLegal { writer.note(.invalidValue(what: "tensor shape")) }
        writer.write(UInt8(truncatingIfNeeded: shape.count))
        for extent in shape { writer.write(UInt32(truncatingIfNeeded: extent)) }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let name = try reader.readText("tensor name", max: JournalLimits.textBytesMax)
        let type = try reader.readChoice("element type", as: ElementType.self)
        let rank = Int(try reader.read("rank", as: UInt8.self))
        var shape: [Int] = []
        for _ in 0..<rank { shape.append(Int(try reader.read("extent", as: UInt32.self))) }
        self.init(name: name, type: type, shape: shape)
        guard isLegal else { throw .invalidValue(what: "tensor shape") }
    }

    /// Whether it can be counted in bytes without overflow.
    private var isLegal: Bool {
        guard shape.count <= WireLimits.rankMax else { return false }
        var bytes = type.byteCount
        for extent in shape {
            guard (0...Int(UInt32.max)).contains(extent) else { return false }
            bytes *= max(extent, 1)
            guard bytes <= WireLimits.sliceBytesMax else { return false }
        }
        return true
    }
}

extension ModelOutline.Tensor: WireValue {
    /// Descriptor, optional producer (4 bytes), consumers (list of 4 bytes), whether it is an output (1
    /// byte), optional row axis (1 byte).
    package func encode(into writer: inout WireWriter) {
        writer.write(descriptor)
        writer.write(producer != nil)
        if let producer { writer.write(count: producer, "producer", max: JournalLimits.partsMax) }
        writer.write(indices: consumers, "consumer")
        writer.write(isOutput)
        writer.write(rowAxis != nil)
        if let rowAxis { writer.write(count: rowAxis, "row axis", max: WireLimits.rankMax) }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let descriptor = try reader.read(TensorDescriptor.self)
        let producer =
            try reader.readFlag("producer")
            ? try reader.readCount("producer", max: JournalLimits.partsMax) : nil
        self.init(
            descriptor: descriptor, producer: producer,
            consumers: try reader.readIndices("consumer"),
            isOutput: try reader.readFlag("output"),
            rowAxis: try reader.readFlag("row axis")
                ? try reader.readCount("row axis", max: WireLimits.rankMax) : nil)
        if let rowAxis, rowAxis >= descriptor.shape.count {
            throw .invalidValue(what: "row axis")
        }
    }
}

extension ModelOutline.Blob: WireValue {
    /// Identity, bytes (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(id)
        writer.write(byteCount: byteCount, "blob")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(id: try reader.read(), byteCount: try reader.readByteCount("blob"))
    }
}

extension ModelOutline: WireValue {
    /// Manifest, operators, tensors (lists), inputs, outputs (lists of 4 bytes), blobs (list).
    package func encode(into writer: inout WireWriter) {
        writer.write(manifest)
        writer.write(list: operators, "operators", max: JournalLimits.partsMax)
        writer.write(list: tensors, "tensors", max: JournalLimits.partsMax)
        writer.write(indices: inputs, "model input")
        writer.write(indices: outputs, "model output")
        writer.write(list: blobs, "blobs", max: JournalLimits.partsMax)
        writer.check(checkIndices)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            manifest: try reader.read(),
            operators: try reader.readList("operators", max: JournalLimits.partsMax),
            tensors: try reader.readList("tensors", max: JournalLimits.partsMax),
            inputs: try reader.readIndices("model input"),
            outputs: try reader.readIndices("model output"),
            blobs: try reader.readList("blobs", max: JournalLimits.partsMax))
        try checkIndices()
    }

    /// Everything that an index names must be there.
    private func checkIndices() throws(WireError) {
        func check(_ indices: [Int], below count: Int, _ what: String) throws(WireError) {
            guard indices.allSatisfy({ $0 < count }) else { throw .invalidValue(what: what) }
        }
        for one in operators {
            try check(one.blobs, below: blobs.count, "blob index")
            try check(one.reads, below: tensors.count, "tensor index")
            if let needs = one.rowNeeds, needs.count != one.reads.count {
                throw .invalidValue(what: "row needs")
            }
        }
        for tensor in tensors {
            try check(tensor.consumers, below: operators.count, "consumer")
            try check([tensor.producer ?? 0], below: operators.count, "producer")
        }
        try check(inputs, below: tensors.count, "model input")
        try check(outputs, below: tensors.count, "model output")
    }
}

extension WireWriter {
    /// A list of indices: count and each as 4 bytes.
    mutating func write(indices: [Int], _ what: String) {
        write(count: indices.count, what, max: JournalLimits.partsMax)
        for index in indices { write(count: index, what, max: JournalLimits.partsMax) }
    }
}

extension WireReader {
    /// Reads a list of indices.
    mutating func readIndices(_ what: String) throws(WireError) -> [Int] {
        let count = try readCount(what, max: JournalLimits.partsMax)
        guard count <= remainingBytes / 4 else { throw .truncated(what: what) }
        var indices: [Int] = []
        indices.reserveCapacity(count)
        for _ in 0..<count { indices.append(try readCount(what, max: JournalLimits.partsMax)) }
        return indices
    }
}
