import TesseraCore

/// What an agent says about itself in its service's TXT record (RFC 6763, section 6).
struct ServiceText: Hashable, Sendable {
    /// The version of the record: `Version.datagrams`.
    var version: UInt16
    /// The node.
    var node: NodeID
    /// The tag of its mesh.
    var mesh: String
    /// Its run.
    var boot: Boot

    /// The record's bytes: length-prefixed `key=value` strings.
    var encoded: [UInt8] {
        let pairs = [
            "v=\(version)", "id=\(node.hexadecimal)", "mesh=\(mesh.prefix(Self.meshCharactersMax))",
            "boot=\(boot.counter)-\(hexadecimal(boot.random))",
        ]
        return pairs.flatMap { [UInt8(truncatingIfNeeded: $0.utf8.count)] + Array($0.utf8) }
    }

    /// A tag has sixteen digits; more than this does not fit a TXT string.
    private static let meshCharactersMax = 64
    /// Avahi takes records of up to 18 kB; an agent's has about 150 bytes.
    private static let bytesMax = 1_300
}

extension ServiceText {
    /// Reads a record; unknown keys are skipped, the first of equal keys counts (RFC 6763, 6.4).
    init(parsing bytes: some Collection<UInt8>) throws(ServiceTextError) {
        guard bytes.count <= Self.bytesMax else { throw .tooLong(bytes.count) }
        var values: [String: String] = [:]
        var rest = Array(bytes)[...]
        while let length = rest.popFirst() {
            guard rest.count >= Int(length) else { throw .truncated }
            let pair = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            guard let sign = pair.firstIndex(of: 0x3D) else { continue }
            let key = String(decoding: pair[..<sign], as: UTF8.self).lowercased()
            guard values[key] == nil else { continue }
            values[key] = String(decoding: pair[pair.index(after: sign)...], as: UTF8.self)
        }
        guard let versionText = values["v"] else { throw .missing("v") }
        guard let version = UInt16(versionText) else { throw .invalid("v") }
        guard let mesh = values["mesh"] else { throw .missing("mesh") }
        guard let nodeText = values["id"] else { throw .missing("id") }
        guard let node = NodeID(hexadecimal: nodeText) else { throw .invalid("id") }
        guard let bootText = values["boot"] else { throw .missing("boot") }
        let parts = bootText.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let counter = UInt64(parts[0]),
            let random = UInt64(parts[1], radix: 16)
        else { throw .invalid("boot") }
        self.init(
            version: version, node: node, mesh: mesh, boot: Boot(counter: counter, random: random))
    }
}

/// Why a TXT record is not an agent's.
enum ServiceTextError: Error, Hashable {
    /// More bytes than an agent writes.
    case tooLong(Int)
    /// A string reaches beyond the end.
    case truncated
    /// A key is missing.
    case missing(String)
    /// A key's value cannot be read.
    case invalid(String)
}

/// The sixteen digits of a 64-bit number.
func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
