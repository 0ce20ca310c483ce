import TesseraCore

@testable import TesseraAPI
@testable import TesseraNode
@testable import tessera

/// What people write, and short texts.
enum CommandParsers {
    static func npy(_ bytes: [UInt8]) {
        guard let array = attempt({ try NpyArray(file: bytes) }) else { return }
        require(attempt { try NpyArray(file: array.file) } == array, "an array does not survive")
    }

    static func npz(_ bytes: [UInt8]) {
        for entry in attempt({ try NpzFile.arrays(in: bytes) }) ?? [] {
            let again = attempt { try NpyArray(file: entry.array.file) }
            require(again == entry.array, "an array of an archive does not survive")
        }
    }

    static func topology(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self),
            let document = attempt({ try DocumentField.document(text, file: "mesh.yaml") })
        else { return }
        _ = attempt { try Topology(document) }
    }

    static func texts(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        if let context = TraceContext(traceparent: text) {
            let written = "00-\(context.traceID)-\(context.spanID)-0\(context.isSampled ? 1 : 0)"
            require(TraceContext(traceparent: written) == context, "a traceparent does not survive")
        }
        if let seed = attempt({ try SeedAddress(parsing: text) }) {
            let again = attempt { try SeedAddress(parsing: seed.description) }
            require(again == seed, "a seed does not survive")
        }
        _ = attempt { try MeshSecret(text: text) }
        _ = ContentCoding.accepted(by: [text])
        _ = SpeedFile.speed(of: text, key: "key")
    }
}
