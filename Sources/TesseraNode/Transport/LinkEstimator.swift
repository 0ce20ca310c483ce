import TesseraCore

/// Smooths what was measured of one link.
struct LinkEstimator {
    /// Bytes per second to the peer; 0 if not known.
    private(set) var bytesPerSecond: UInt64 = 0
    /// A transfer counts as no larger: a terabyte, so that its rate can be counted.
    private static let bytesMax = 1 << 40
    /// The kernel counts busy time in ticks of up to 10 ms: so much of it is right within a tenth.
    private static let busyMicrosecondsMin: UInt64 = 100_000
    private var open: (bytes: UInt64, microseconds: UInt64) = (0, 0)
    /// Whether the rate is that of long enough a time, and not of one flight.
    private(set) var hasBusyRate = false
    private var smoothedNanoseconds: Int64 = 0
    /// Whether something came in since the last report.
    private var isFresh = false

    /// Whether a round trip is known.
    var hasRoundTrip: Bool { smoothedNanoseconds > 0 }

    /// A transfer that the peer received: so many bytes in so much time.
    mutating func transferred(bytes: Int, microseconds: Int64) {
        guard bytes > 0, microseconds > 0 else { return }
        let rate = UInt64(min(bytes, Self.bytesMax)) * 1_000_000 / UInt64(microseconds)
        bytesPerSecond = smoothed(max(1, rate))
        isFresh = true
    }

    /// The rate after one more sample.
    ///
    /// Sharing the link or a busy processor can only make a transfer look slower than the link, so
    /// a faster one counts half and a slower one an eighth. What several transfers at once make of
    /// each other is the planner's to reckon with.
    private func smoothed(_ sample: UInt64) -> UInt64 {
        let old = bytesPerSecond
        guard old > 0 else { return sample }
        return sample > old ? old + (sample - old + 1) / 2 : old - (old - sample) / 8
    }

    /// What the kernel saw of a large transfer: what was delivered from its beginning to its end,
    /// and how long bytes were on their way in that time.
    ///
    /// Counts once it is long enough, together with others, for the kernel's clock.
    mutating func delivered(bytes: UInt64, microseconds: UInt64) {
        open.bytes += min(bytes, UInt64(Self.bytesMax))
        open.microseconds += microseconds
        guard open.microseconds >= Self.busyMicrosecondsMin else { return }
        let sample = max(1, open.bytes * 1_000_000 / open.microseconds)
        open = (0, 0)
        bytesPerSecond = hasBusyRate ? smoothed(sample) : sample
        hasBusyRate = true
        isFresh = true
    }

    /// How the kernel rated one flight: better than nothing, until it is known better.
    mutating func rated(bytesPerSecond rate: UInt64) {
        guard !hasBusyRate, rate > 0 else { return }
        bytesPerSecond = min(rate, UInt64(Self.bytesMax))
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
