import TesseraCore

/// The range of protocol versions that one end speaks.
public struct WireVersions: Hashable, Sendable {
    /// The oldest version, at least 1.
    public let minimum: UInt16
    /// The newest version.
    public let maximum: UInt16

    /// What this build speaks.
    public static let supported = WireVersions(
        uncheckedMinimum: 1, maximum: Version.wireProtocol)

    /// Makes a range; nil if it is empty or holds version 0, which means "not agreed yet".
    public init?(minimum: UInt16, maximum: UInt16) {
        guard minimum >= 1, minimum <= maximum else { return nil }
        self.init(uncheckedMinimum: minimum, maximum: maximum)
    }

    private init(uncheckedMinimum: UInt16, maximum: UInt16) {
        minimum = uncheckedMinimum
        self.maximum = maximum
    }

    /// Whether this end speaks the version.
    public func contains(_ version: UInt16) -> Bool { minimum <= version && version <= maximum }

    /// The newest version that both ends speak; nil if there is none.
    public static func negotiate(ours: WireVersions, theirs: WireVersions) -> UInt16? {
        let newest = min(ours.maximum, theirs.maximum)
        return newest >= max(ours.minimum, theirs.minimum) ? newest : nil
    }
}

extension WireVersions: WireValue {
    /// Minimum and maximum, 2 bytes each.
    package func encode(into writer: inout WireWriter) {
        writer.write(minimum)
        writer.write(maximum)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let minimum = try reader.read("oldest version", as: UInt16.self)
        let maximum = try reader.read("newest version", as: UInt16.self)
        guard let versions = WireVersions(minimum: minimum, maximum: maximum) else {
            throw .invalidValue(what: "versions")
        }
        self = versions
    }
}
