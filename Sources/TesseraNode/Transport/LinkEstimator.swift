import TesseraCore

/// Smooths what was measured of one link.
struct LinkEstimator {
    /// Bytes per second to the peer; 0 if not known.
    private(set) var bytesPerSecond: UInt64 = 0
    /// A transfer counts as no larger: a terabyte, so that its rate can be counted.
    private static let bytesMax = 1 << 40
    /// The kernel counts busy time in ticks of up to 10 ms: so much of it is right within a tenth.
    private static let busyMicrosecondsMin: UInt64 = 100_000
    /// Fewer bytes in that time are questions and answers, not transfers.
    private static let kernelBytesMin: UInt64 = 256 << 10
    private var lastKernel: KernelRate?
    private var hasBusyRate = false
    private var smoothedNanoseconds: Int64 = 0
    /// Whether something came in since the last report.
    private var isFresh = false

    /// Whether a round trip is known.
    var hasRoundTrip: Bool { smoothedNanoseconds > 0 }

    /// A transfer that the peer received: so many bytes in so much time.
    ///
    /// Sharing the link or a busy processor can only make a transfer look slower than the link, so
    /// a faster one counts half and a slower one an eighth.
    mutating func transferred(bytes: Int, microseconds: Int64) {
        guard bytes > 0, microseconds > 0 else { return }
        let rate = UInt64(min(bytes, Self.bytesMax)) * 1_000_000 / UInt64(microseconds)
        let sample = max(1, rate)
        let old = bytesPerSecond
        if old == 0 {
            bytesPerSecond = sample
        } else if sample > old {
            bytesPerSecond = old + (sample - old + 1) / 2
        } else {
            bytesPerSecond = old - (old - sample) / 8
        }
        isFresh = true
    }

    /// What the kernel saw of a connection, after a transfer.
    ///
    /// The rate is that of the bytes since the last look over the time in which some were on their
    /// way, once that is long enough for the kernel's clock. Until then the kernel's rating of one
    /// flight has to do.
    mutating func delivered(_ rate: KernelRate) {
        guard let last = lastKernel, rate.deliveredBytes >= last.deliveredBytes,
            rate.busyMicroseconds >= last.busyMicroseconds
        else {
            // The first look at this connection.
            lastKernel = rate
            return rateFlight(rate)
        }
        let bytes = rate.deliveredBytes - last.deliveredBytes
        let microseconds = rate.busyMicroseconds - last.busyMicroseconds
        guard microseconds >= Self.busyMicrosecondsMin, bytes >= Self.kernelBytesMin else {
            return rateFlight(rate)
        }
        lastKernel = rate
        let sample = max(1, min(bytes, UInt64(Self.bytesMax)) * 1_000_000 / microseconds)
        bytesPerSecond = hasBusyRate ? (bytesPerSecond + sample + 1) / 2 : sample
        hasBusyRate = true
        isFresh = true
    }

    private mutating func rateFlight(_ rate: KernelRate) {
        guard !hasBusyRate, rate.lastBytesPerSecond > 0 else { return }
        bytesPerSecond = min(rate.lastBytesPerSecond, UInt64(Self.bytesMax))
        isFresh = true
    }

    /// A keepalive came back; weights as for TCP (RFC 6298, 2.3).
    mutating func returned(nanoseconds: Int64) {
        let sample = max(1, nanoseconds)
        smoothedNanoseconds =
            smoothedNanoseconds == 0
            ? sample : smoothedNanoseconds + (sample - smoothedNanoseconds) / 8
        isFresh = true
    }

    /// What to report, if there is anything new.
    mutating func measurement(of peer: NodeID) -> LinkMeasurement? {
        guard isFresh, smoothedNanoseconds > 0 else { return nil }
        isFresh = false
        return LinkMeasurement(
            peer: peer, bytesPerSecond: bytesPerSecond,
            roundTripMicroseconds: max(1, smoothedNanoseconds / 1_000))
    }
}
