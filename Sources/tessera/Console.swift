import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Standard output for data, standard error for messages.
enum Console {
    /// Whether standard output is a terminal.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    /// Whether standard error is a terminal.
    static var messagesAreOnTerminal: Bool { isatty(STDERR_FILENO) == 1 }
    /// Whether standard output may carry colours: on a terminal, unless NO_COLOR is set.
    static var hasColour: Bool {
        isTerminal && (Environment.value("NO_COLOR") ?? "").isEmpty
            && Environment.value("TERM") != "dumb"
    }

    /// One writer at a time, so that lines of several tasks stay whole.
    private static let lock = Mutex(())

    /// Prints a line of data.
    static func line(_ text: String = "") {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// Writes a part of a line of data, such as a frame of a screen.
    static func part(_ text: String) {
        write(text, to: STDOUT_FILENO)
    }

    /// Prints a line for people.
    static func message(_ text: String) {
        write(text + "\n", to: STDERR_FILENO)
    }

    /// Writes a part of a line for people, such as a progress bar.
    static func messagePart(_ text: String) {
        write(text, to: STDERR_FILENO)
    }

    /// The width of the terminal that messages go to.
    static var messageColumns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// The size of the terminal that data goes to; nil if it is none or does not tell.
    static var size: (columns: Int, rows: Int)? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0
        else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    private static func write(_ text: String, to descriptor: Int32) {
        lock.withLock { _ in
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { systemWrite(descriptor, $0) }
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if errno != EINTR {
                    // The reader has gone, as `head` does when it has enough: nobody wants more.
                    _exit(descriptor == STDOUT_FILENO && errno == EPIPE ? 0 : 1)
                }
            }
        }
    }

    private static func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
        Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #else
        Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}

/// How text looks on a terminal.
enum Style: String {
    case bold = "1"
    case good = "32"
    case bad = "31"
    case warning = "33"
    case dim = "2"

    /// The text, in this style if standard output shows colours.
    func callAsFunction(_ text: String) -> String {
        Console.hasColour ? marked(text) : text
    }

    /// The text in this style.
    func marked(_ text: String) -> String { "\u{1B}[\(rawValue)m\(text)\u{1B}[0m" }
}
