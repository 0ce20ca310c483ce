#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import TesseraWire

#if DEBUG
/// The versions of the protocol that debug builds speak if a test says so: with
/// `TESSERA_TEST_PROTOCOL=1-1` an agent greets, encodes and refuses as one that knows version 1 only.
///
/// A version above the newest one is that one under a higher number.
enum TestVersions {
    static let told: WireVersions? = getenv("TESSERA_TEST_PROTOCOL").flatMap { text in
        let parts = String(cString: text).split(separator: "-").compactMap { UInt16($0) }
        guard parts.count == 2 else { return nil }
        return WireVersions(minimum: parts[0], maximum: parts[1])
    }
}
#endif
