import NIOCore

/// How fast the kernel saw a TCP connection deliver bytes lately, from its acknowledgements.
///
/// Unlike what either end can time, it does not hang on when a busy or throttled process gets to
/// read what has arrived.
struct KernelRate: Equatable, Sendable {
    /// Bytes per second.
    var bytesPerSecond: UInt64
    /// Whether there were too few bytes to fill the link: then it does at least so much.
    var isLowerBound: Bool

    /// Asks the kernel; nil where it does not tell, or nothing was sent yet.
    static func of(
        _ channel: any Channel, then done: @escaping @Sendable (KernelRate?) -> Void
    ) {
        #if os(Linux) && _endian(little)
        guard let options = channel as? any SocketOptionProvider else { return done(nil) }
        options.unsafeGetSocketOption(
            level: .tcp, name: NIOBSDSocket.Option(rawValue: Self.option)
        ).whenComplete { (result: Result<Figures, any Error>) in
            guard case .success(let figures) = result else { return done(nil) }
            done(figures.rate)
        }
        #else
        done(nil)
        #endif
    }

    /// `TCP_INFO` of Linux.
    private static let option: CInt = 11

    /// The first 192 bytes of Linux's `struct tcp_info`, as words; zero where the kernel gave less.
    struct Figures: Sendable {
        var first = SIMD8<UInt64>()
        var second = SIMD8<UInt64>()
        var third = SIMD8<UInt64>()

        /// `tcpi_delivery_rate`, the 21st word, and the bit `tcpi_delivery_rate_app_limited`.
        var rate: KernelRate? {
            let bytesPerSecond = third[4]
            guard bytesPerSecond > 0 else { return nil }
            return KernelRate(
                bytesPerSecond: bytesPerSecond, isLowerBound: first[0] >> 56 & 1 == 1)
        }
    }
}
