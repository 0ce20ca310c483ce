#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import TesseraCore

extension ImageInput {
    /// The system's exponential function.
    static func exponential(_ value: Double) -> Double { exp(value) }
}
