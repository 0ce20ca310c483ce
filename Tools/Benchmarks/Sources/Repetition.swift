import Foundation
import Synchronization

/// One thing done again and again, timed.
enum Repetition {
    /// Nanoseconds of each run.
    struct Times: Encodable {
        var nanoseconds: [UInt64]
    }

    /// When each run of a stream ended, in nanoseconds since the stream began.
    struct Ends: Encodable {
        var endsNanoseconds: [UInt64]
        /// Runs that failed, which should be none.
        var failures: Int
    }

    /// Runs `body` one time after the other.
    static func times(_ count: Int, _ body: () throws -> Void) rethrows -> Times {
        var times: [UInt64] = []
        times.reserveCapacity(count)
        for _ in 0..<count {
            let begin = Stopwatch.nanoseconds
            try body()
            times.append(Stopwatch.nanoseconds - begin)
        }
        return Times(nanoseconds: times)
    }

    /// Runs each of `bodies` on a thread of its own until the time is over.
    static func stream(
        milliseconds: Int, _ bodies: [@Sendable () throws -> Void]
    ) -> Ends {
        let ends = Mutex<[UInt64]>([])
        let failures = Mutex(0)
        let done = DispatchGroup()
        let begin = Stopwatch.nanoseconds
        let span = UInt64(milliseconds) * 1_000_000
        for body in bodies {
            done.enter()
            let thread = Thread {
                while Stopwatch.nanoseconds - begin < span {
                    do {
                        try body()
                        let end = Stopwatch.nanoseconds - begin
                        ends.withLock { $0.append(end) }
                    } catch {
                        failures.withLock { $0 += 1 }
                        break
                    }
                }
                done.leave()
            }
            thread.start()
        }
        done.wait()
        return Ends(
            endsNanoseconds: ends.withLock { $0.sorted() }, failures: failures.withLock { $0 })
    }
}
