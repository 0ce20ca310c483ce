import TesseraNode

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Secrets from standard input: arguments would be seen by every user of the machine.
enum SecretInput {
    /// Two lines and what people add to them.
    private static let bytesMax = 4_096

    /// Reads them; typed ones are not shown.
    static func read() throws -> MeshSecrets {
        let text: String
        if isatty(STDIN_FILENO) == 1 {
            Console.messagePart("The mesh's secret: ")
            text = withoutEcho { readLine() ?? "" }
            Console.message("")
        } else {
            text = try piped()
        }
        do {
            return try MeshSecrets(text: text)
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    private static func piped() throws -> String {
        var bytes: [UInt8] = []
        while let line = readLine(strippingNewline: false) {
            bytes += line.utf8
            guard bytes.count <= bytesMax else {
                throw CommandFailure(
                    "standard input has more than \(bytesMax) bytes, which no secret has. Give the "
                        + "file with the mesh's secret.")
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func withoutEcho<Value>(_ body: () -> Value) -> Value {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return body() }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer { tcsetattr(STDIN_FILENO, TCSAFLUSH, &before) }
        return body()
    }
}
