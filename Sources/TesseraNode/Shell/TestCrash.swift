#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import NIOCore
import TesseraCore

#if DEBUG
/// A planted fault of debug builds, so that tests see a request kill its hosts.
///
/// With the SHA-256 of a fragment's inputs in `TESSERA_TEST_ABORT_ON` the process aborts when it is
/// about to run a fragment on exactly these inputs.
enum TestCrash {
    private static let digest: InputDigest? = getenv("TESSERA_TEST_ABORT_ON")
        .map { String(cString: $0) }.flatMap { InputDigest(hexadecimal: $0) }

    /// Aborts if these are the inputs.
    static func strike(_ inputs: [ByteBuffer]) {
        guard let digest, InputDigest(of: inputs) == digest else { return }
        abort()
    }
}
#endif
