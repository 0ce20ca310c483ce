import Testing

@testable import TesseraCore

@Suite struct IdentityTests {
    @Test("hexadecimal text and bytes give the identity back")
    func roundTrip() throws {
        let text = String((0..<4).map { _ in "0123456789abcdef" }.joined())
        let identity = try #require(NodeID(hexadecimal: text))
        #expect(identity.hexadecimal == text)
        #expect(NodeID(bytes: identity.bytes) == identity)
        #expect(NodeID(hexadecimal: text.dropLast()) == nil)
        #expect(NodeID(hexadecimal: String(text.dropLast()) + "g") == nil)
    }

    @Test("the order of identities is the order of their bytes")
    func order() {
        #expect(NodeID(0, 0, 0, 2) < NodeID(0, 0, 1, 0))
        #expect(NodeID(1, 0, 0, 0) > NodeID(0, .max, .max, .max))
    }
}
