#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import TesseraCore

/// The clock that every event's time comes from: monotonic, and it counts while the machine sleeps,
/// so that a laptop that wakes knows how long it was away.
enum MonotonicClock {
    /// Now.
    static var now: Timestamp {
        var time = timespec()
        #if os(Linux)
        clock_gettime(CLOCK_BOOTTIME, &time)
        #else
        clock_gettime(CLOCK_MONOTONIC, &time)
        #endif
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
