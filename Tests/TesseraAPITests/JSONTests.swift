import NIOCore
import Testing

@testable import TesseraAPI

@Suite struct JSONTests {
    private func read(_ text: String) throws -> JSONValue {
        try JSONReader.read(Array(text.utf8))
    }

    @Test("values are read and written back")
    func roundTrip() throws {
        for text in [
            "null", "true", "false", "0", "-1", "9223372036854775807", "18446744073709551615",
            "1.5", "[]", "{}", "[1,[2,[3]]]", #"{"a":{"b":[true,null]}}"#, #""x\"\\\n\té€𝄞""#,
        ] {
            let value = try read(text)
            var buffer = ByteBuffer()
            buffer.writeJSON(value)
            #expect(try read(String(buffer: buffer)) == value, "\(text)")
        }
        #expect(try read(#""\u00e9\ud834\udd1e\/\b""#) == .string("é𝄞/\u{08}"))
        #expect(try read(" [ 1 , 2 ] \n") == .array([.integer(Int64(1)), .integer(Int64(2))]))
    }

    @Test("what is not JSON is refused")
    func malformed() {
        for text in [
            "", " ", "nul", "truee", "01", "-", "1.", ".5", "1e", "+1", "0x1", "[", "[1", "[1,",
            "[1,]", "[,1]", "{", "{\"a\"", "{\"a\":", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}",
            "\"", "\"\\", "\"\\u12", "\"\\u123g\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
            "\"\\udc00\"", "\"\\x\"", "\"\n\"", "1 2", "[1 2]", "{\"a\":1 \"b\":2}", "NaN",
            "Infinity", "-Infinity", "{\"a\":1,\"a\":2}", "\u{FEFF}1",
        ] {
            #expect(throws: JSONError.self, "\(text)") { try read(text) }
        }
        #expect(throws: JSONError.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONReader.read([0x22, 0xC3, 0x22]) }
    }

    @Test("no cut or changed byte of a request stops the reader")
    func corruption() {
        let text = Array(
            #"{"id":"a\u00e9","inputs":[{"name":"x","shape":[1,4],"data":[1,2.5e3,[-3]]}],"p":{}}"#
                .utf8)
        for count in text.indices {
            #expect(throws: JSONError.self) {
                try JSONReader.read(Array(text[..<count]), textMember: "data")
            }
        }
        var read = 0
        for index in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[index] = byte
                // Only that it returns matters: many changes leave valid JSON.
                if (try? JSONReader.read(changed, textMember: "data")) != nil { read += 1 }
            }
        }
        #expect(read > 0)
    }

    @Test("numbers are read to the nearest value")
    func numbers() throws {
        for text in [
            "0.1", "1e-7", "123456789012345", "1234567890123456789", "4.35", "0.000001",
            "5e-324", "1.7976931348623157e308", "-0.0", "2.2250738585072011e-308", "8.41",
            "9007199254740993", "0.30000000000000004", "123456.789012345678",
        ] {
            let value = JSONText.double(Array(text.utf8)[...])
            #expect(value.bitPattern == Double(text)?.bitPattern, "\(text)")
        }
    }
}
