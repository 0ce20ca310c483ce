public import TesseraCore

/// What an agent tells everybody near when no mDNS daemon does it: here I am.
public struct Beacon: Hashable, Sendable {
    /// The node and its run.
    public var member: NodeBoot
    /// The port on which it listens.
    ///
    /// Its host is where the datagram came from.
    public var listenPort: UInt16

    /// Makes a beacon.
    public init(member: NodeBoot, listenPort: UInt16) {
        self.member = member
        self.listenPort = listenPort
    }
}

extension Beacon: WireValue {
    /// Member, listen port (2 bytes, not 0).
    package func encode(into writer: inout WireWriter) {
        writer.write(member)
        if listenPort == 0 { writer.note(.invalidValue(what: "listen port")) }
        writer.write(listenPort)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(member: try reader.read(), listenPort: try reader.read("listen port"))
        if listenPort == 0 { throw .invalidValue(what: "listen port") }
    }
}
