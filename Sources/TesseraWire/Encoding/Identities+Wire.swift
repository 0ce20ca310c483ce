package import TesseraCore

extension Identity: WireValue {
    /// The 32 bytes.
    package func encode(into writer: inout WireWriter) {
        writer.write(words: words)
    }

    /// Reads the 32 bytes.
    package init(from reader: inout WireReader) throws(WireError) {
        let words = try reader.readWords("identity")
        self.init(words.0, words.1, words.2, words.3)
    }
}

extension Boot: WireValue {
    /// Counter and random bits, 8 bytes each.
    package func encode(into writer: inout WireWriter) {
        writer.write(counter)
        writer.write(random)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(counter: try reader.read("boot"), random: try reader.read("boot"))
    }
}

extension NodeBoot: WireValue {
    /// The encoded size, always the same.
    static let encodedByteCount = 48

    /// Node, boot.
    package func encode(into writer: inout WireWriter) {
        writer.write(node)
        writer.write(boot)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(node: try reader.read(), boot: try reader.read())
    }
}

extension Ballot: WireValue {
    /// Round (8 bytes), proposer.
    package func encode(into writer: inout WireWriter) {
        writer.write(counter: round, "round")
        writer.write(proposer)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(round: try reader.readCounter("round"), proposer: try reader.read())
    }
}

extension RequestID: WireValue {
    /// Entry, counter (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(entry)
        writer.write(counter)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(entry: try reader.read(), counter: try reader.read("request counter"))
    }
}

extension AttemptID: WireValue {
    /// Request, number (1 byte, not 0), plan.
    package func encode(into writer: inout WireWriter) {
        writer.write(request)
        if number == 0 { writer.note(.invalidValue(what: "attempt number")) }
        writer.write(number)
        writer.write(plan)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let request = try reader.read(RequestID.self)
        let number = try reader.read("attempt number", as: UInt8.self)
        guard number > 0 else { throw .invalidValue(what: "attempt number") }
        self.init(request: request, number: number, plan: try reader.read())
    }
}

extension Address: WireValue {
    /// Host (text of printable ASCII, not empty), port (2 bytes, not 0).
    package func encode(into writer: inout WireWriter) {
        if !isWellFormed { writer.note(.invalidValue(what: "address")) }
        writer.write(text: host, "host", max: WireLimits.hostBytesMax)
        writer.write(port)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            host: try reader.readText("host", max: WireLimits.hostBytesMax),
            port: try reader.read("port"))
        if !isWellFormed { throw .invalidValue(what: "address") }
    }

    private var isWellFormed: Bool {
        !host.isEmpty && port != 0 && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}
