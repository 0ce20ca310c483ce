import NIOCore

/// What the kernel saw of a TCP connection's speed, from its acknowledgements.
///
/// Unlike what either end can time, it does not hang on when a busy or throttled process gets to
/// read what has arrived.
struct KernelRate: Equatable, Sendable {
    /// Bytes that the peer acknowledged, since the connection began.
    var deliveredBytes: UInt64
    /// Time in which bytes were on their way and the peer had room for more, likewise.
    var busyMicroseconds: UInt64
    /// The shortest round trip.
    var roundTripMicroseconds: UInt64 = 0
    /// Bytes per second of the last flight that the kernel rated; 0 if none.
    ///
    /// Of a few bytes it says little: buffers on the way take them at any rate.
    var lastBytesPerSecond: UInt64

    /// What was delivered since an earlier look; nil if there is nothing to say.
    ///
    /// The round trip in which the last of it was only acknowledged does not count.
    func since(_ earlier: KernelRate) -> (bytes: UInt64, microseconds: UInt64)? {
        guard deliveredBytes > earlier.deliveredBytes,
            busyMicroseconds >= earlier.busyMicroseconds
        else { return nil }
        let busy = busyMicroseconds - earlier.busyMicroseconds
        return (
            deliveredBytes - earlier.deliveredBytes,
            busy > 2 * roundTripMicroseconds ? busy - roundTripMicroseconds : busy
        )
    }

    /// Asks the kernel; nil where it does not tell.
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

        /// `tcpi_bytes_acked`, `tcpi_min_rtt`, `tcpi_delivery_rate`, and `tcpi_busy_time` less
        /// `tcpi_rwnd_limited`; nil if nothing was delivered yet, or the kernel is older than these.
        var rate: KernelRate? {
            let (delivered, busy, limited) = (second[7], third[5], third[6])
            guard delivered > 0, busy > 0 || third[4] > 0 else { return nil }
            return KernelRate(
                deliveredBytes: delivered, busyMicroseconds: busy > limited ? busy - limited : 0,
                roundTripMicroseconds: third[2] >> 32, lastBytesPerSecond: third[4])
        }
    }
}
