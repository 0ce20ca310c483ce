import TesseraCore
import Testing

@testable import tessera

@Suite struct NpyTests {
    private static func file(
        _ header: String, version: UInt8 = 1, elements: [UInt8] = []
    ) -> [UInt8] {
        let text = Array(header.utf8)
        let length =
            version == 1
            ? [UInt8(text.count & 0xFF), UInt8(text.count >> 8)]
            : [UInt8(text.count & 0xFF), UInt8(text.count >> 8), 0, 0]
        return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + text + elements
    }

    @Test("arrays of every type and rank come back as they were", arguments: ElementType.allCases)
    func roundTrip(type: ElementType) throws {
        for shape in [[], [1], [0], [3], [2, 3], [1, 2, 3, 4]] {
            let count = shape.reduce(1, *) * type.byteCount
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let array = NpyArray(type: type, shape: shape, bytes: bytes[...])
            let file = array.file
            // The elements begin at a multiple of 64.
            #expect((file.count - count) % 64 == 0)
            let back = try NpyArray(file: file)
            #expect(back.shape == shape)
            #expect(Array(back.bytes) == bytes)
            // NumPy has no bfloat16.
            #expect(back.type == (type == .bfloat16 ? .uint16 : type))
        }
    }

    @Test("golden bytes: numpy.save(numpy.float32([[1.5, -2]]))")
    func golden() throws {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
        let elements: [UInt8] = [0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0]
        let padded = text + String(repeating: " ", count: 117 - text.utf8.count) + "\n"
        let file = Self.file(padded, elements: elements)
        let array = NpyArray(type: .float32, shape: [1, 2], bytes: elements[...])
        #expect(array.file == file)
        #expect(try NpyArray(file: file).shape == [1, 2])
    }

    @Test("versions 2 and 3, other orders of members and other quotes are read")
    func variants() throws {
        let headers = [
            #"{"shape": (2,), "fortran_order": False, "descr": "|u1"}"#,
            "{'descr':'|u1','shape':(2,),'fortran_order':True,}  \n",
        ]
        for header in headers {
            for version in UInt8(1)...3 {
                let array = try NpyArray(
                    file: Self.file(header, version: version, elements: [8, 9]))
                #expect(array.type == .uint8)
                #expect(array.shape == [2])
                #expect(Array(array.bytes) == [8, 9])
            }
        }
    }

    @Test(
        "what is wrong is said",
        arguments: [
            ("{'descr': '>f4', 'fortran_order': False, 'shape': ()}", "unsupportedType"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': ()}", "unsupportedType"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': ()}", "unsupportedType"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", "columnOrder"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "badHeader"),
            ("{'descr': '<f4', 'fortran_order': False}", "badHeader"),
            ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "badHeader"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "badHeader"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "badHeader"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "badHeader"),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                "tooLarge"
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000)}",
                "tooLarge"
            ),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", "badHeader"),
            ("", "badHeader"),
        ])
    func wrongHeaders(header: String, kind: String) {
        let error = #expect(throws: NpyError.self) {
            try NpyArray(file: Self.file(header, elements: [0, 0, 0, 0]))
        }
        #expect(error.map { "\($0)".isEmpty } == false)
        let name = error.map { Mirror(reflecting: $0).children.first?.label ?? "columnOrder" }
        #expect(name == kind)
    }

    @Test("every cut, every corrupted byte and noise are refused or read, and never crash")
    func hostile() throws {
        let bytes = [UInt8](repeating: 1, count: 12)
        let file = NpyArray(type: .float32, shape: [3], bytes: bytes[...]).file
        for count in file.indices {
            #expect(throws: NpyError.self) { try NpyArray(file: Array(file[..<count])) }
        }
        #expect(throws: NpyError.trailingBytes(1)) { try NpyArray(file: file + [0]) }
        var generator = SeededGenerator(seed: 5)
        for index in file.indices {
            for _ in 0..<8 {
                var broken = file
                broken[index] = UInt8.random(in: 0...255, using: &generator)
                // Either is right; what counts is that it comes back.
                _ = try? NpyArray(file: broken)
            }
        }
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...200, using: &generator)
            let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // As above.
            _ = try? NpyArray(file: file.prefix(10) + noise)
        }
    }
}
