#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import TesseraCore

/// The speed of links that debug builds tell if a test says so: with `TESSERA_TEST_LINK_RATE=1250000`
/// an agent takes every link for one of 10 Mbit/s, whatever was measured, and packs for it.
enum TestLinks {
    #if DEBUG
    private static let bytesPerSecond: UInt64? = getenv("TESSERA_TEST_LINK_RATE").flatMap {
        UInt64(String(cString: $0))
    }
    #endif

    /// What is told of a link.
    static func told(_ measurement: LinkMeasurement) -> LinkMeasurement {
        var measurement = measurement
        #if DEBUG
        measurement.bytesPerSecond = bytesPerSecond ?? measurement.bytesPerSecond
        #endif
        return measurement
    }
}
