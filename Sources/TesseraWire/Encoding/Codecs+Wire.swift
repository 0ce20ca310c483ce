package import TesseraCore

extension CodecAllowance: WireValue {
    /// Measure (1 byte), allowed and measured drop (4 bytes each), items (4 bytes), tensors (list,
    /// ascending).
    package func encode(into writer: inout WireWriter) {
        writer.write(measure)
        writer.write(count: maxDropPerMillion, "drop", max: Self.whole)
        writer.write(count: dropPerMillion, "drop", max: Self.whole)
        writer.write(count: itemCount, "items", max: WireLimits.itemsMax)
        writer.write(ascending: tensors, "codecs", max: Self.tensorsMax) { $0.tensor }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            measure: try reader.readChoice("measure"),
            maxDropPerMillion: try reader.readCount("drop", max: Self.whole),
            dropPerMillion: try reader.readCount("drop", max: Self.whole),
            itemCount: try reader.readCount("items", max: WireLimits.itemsMax),
            tensors: try reader.readAscending(
                "codecs", max: Self.tensorsMax, by: { $0.tensor }))
    }
}

extension CodecAllowance.Tensor: WireValue {
    /// Tensor (4 bytes), thousandths that lossless packing leaves (4 bytes), trials (list, ascending
    /// by codec).
    package func encode(into writer: inout WireWriter) {
        writer.write(count: tensor, "tensor index", max: WireLimits.modelPartsMax)
        writer.write(count: losslessPerMille, "packed part", max: 1_000)
        writer.write(ascending: tried, "trials", max: Codec.allCases.count) { $0.codec }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            tensor: try reader.readCount("tensor index", max: WireLimits.modelPartsMax),
            losslessPerMille: try reader.readCount("packed part", max: 1_000),
            tried: try reader.readAscending(
                "trials", max: Codec.allCases.count, by: { $0.codec }))
    }
}

extension CodecAllowance.Trial: WireValue {
    /// Codec (1 byte, a lossy one), drop (4 bytes), whether it is allowed (flag).
    package func encode(into writer: inout WireWriter) {
        if !codec.isLossy { writer.note(.invalidValue(what: "codec")) }
        writer.write(codec)
        writer.write(count: dropPerMillion, "drop", max: CodecAllowance.whole)
        writer.write(isAllowed)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            codec: try reader.readChoice("codec"),
            dropPerMillion: try reader.readCount("drop", max: CodecAllowance.whole),
            isAllowed: try reader.readFlag("allowed"))
        guard codec.isLossy else { throw .invalidValue(what: "codec") }
    }
}

extension CodecSpeed: WireValue {
    /// Codec (1 byte), bytes packed and unpacked per microsecond (8 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(codec)
        writer.write(packedPerMicrosecond)
        writer.write(unpackedPerMicrosecond)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            codec: try reader.readChoice("codec"),
            packedPerMicrosecond: try reader.read("codec speed"),
            unpackedPerMicrosecond: try reader.read("codec speed"))
    }
}

extension SentSlice: WireValue {
    /// Peer, plan, route (4 bytes), codec (1 byte), bytes and sent bytes (8 bytes each), time of
    /// packing (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(peer)
        writer.write(plan)
        writer.write(count: route, "route index", max: WireLimits.routesMax - 1)
        writer.write(codec)
        writer.write(byteCount: byteCount, "slice bytes", max: WireLimits.sliceBytesMax)
        writer.write(byteCount: sentByteCount, "slice bytes", max: WireLimits.sliceBytesMax)
        writer.write(microseconds: packMicroseconds, "packing")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            peer: try reader.read(), plan: try reader.read(),
            route: try reader.readCount("route index", max: WireLimits.routesMax - 1),
            codec: try reader.readChoice("codec"),
            byteCount: try reader.readByteCount("slice bytes", max: WireLimits.sliceBytesMax),
            sentByteCount: try reader.readByteCount("slice bytes", max: WireLimits.sliceBytesMax),
            packMicroseconds: try reader.readMicroseconds("packing"))
    }
}
