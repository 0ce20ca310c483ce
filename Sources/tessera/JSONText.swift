#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Documents as JSON text.
enum JSONText {
    /// The text for people and programs: indented, members in alphabetical order.
    static func pretty(_ document: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    /// The text on one line.
    static func compact(_ document: some Encodable) throws -> String {
        String(decoding: try bytes(document), as: UTF8.self)
    }

    /// The bytes of the text on one line.
    static func bytes(_ document: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(document))
    }

    /// Reads a document.
    static func read<Document: Decodable>(
        _ type: Document.Type, _ bytes: [UInt8]
    ) throws -> Document {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}
