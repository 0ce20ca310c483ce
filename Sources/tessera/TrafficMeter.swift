import Synchronization
import TesseraAPI
import TesseraCore

/// Counts what an agent answers, second by second.
///
/// Seconds are those since the agent started.
final class TrafficMeter: Sendable {
    /// Seconds kept: as far back as the dashboard shows.
    static let secondsMax = 300
    /// Answers of one second whose times are kept; the first ones speak for the rest.
    static let timesMax = 4_096
    /// Models counted in one second; what is asked of further ones counts in the sum only.
    static let modelsMax = 64
    /// A model's rate is taken over so many seconds.
    static let rateSeconds: Int64 = 5

    private struct Second {
        var number: Int64
        var answered = 0
        var failed = 0
        var times: [Int64] = []
        // Only looked up, never walked.
        var models: [String: Int] = [:]

        /// The second as people see it.
        var document: TrafficDocument {
            let sorted = times.sorted()
            // The least value that so many percent of all do not exceed.
            func percentile(_ percent: Int) -> Int64? {
                sorted.isEmpty ? nil : sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
            }
            return TrafficDocument(
                second: number, answered: answered, failed: failed,
                medianMicroseconds: percentile(50), p99Microseconds: percentile(99))
        }
    }

    private struct State {
        /// Those that are over, ascending, without those in which nothing was.
        var past: [(document: TrafficDocument, models: [String: Int])] = []
        var current = Second(number: 0)

        /// Closes the current second if it is over.
        mutating func advance(to second: Int64) {
            guard second > current.number else { return }
            if current.answered + current.failed > 0 {
                past.append((current.document, current.models))
            }
            current = Second(number: second)
            let oldest = second - Int64(TrafficMeter.secondsMax)
            if let first = past.first, first.document.second < oldest {
                past.removeAll { $0.document.second < oldest }
            }
        }
    }

    private let state = Mutex(State())

    private static func second(of time: TimeSpan) -> Int64 { time.microseconds / 1_000_000 }

    /// An item of a model was answered.
    func noteAnswer(model: String, at time: TimeSpan, took span: TimeSpan) {
        state.withLock { state in
            state.advance(to: Self.second(of: time))
            state.current.answered += 1
            if state.current.times.count < Self.timesMax {
                state.current.times.append(span.microseconds)
            }
            if state.current.models.count < Self.modelsMax || state.current.models[model] != nil {
                state.current.models[model, default: 0] += 1
            }
        }
    }

    /// An item ended with an error.
    func noteFailure(at time: TimeSpan) {
        state.withLock { state in
            state.advance(to: Self.second(of: time))
            state.current.failed += 1
        }
    }

    /// The last seconds that are over, oldest first, without those in which nothing was.
    func seconds(_ count: Int, at time: TimeSpan) -> [TrafficDocument] {
        state.withLock { state in
            let second = Self.second(of: time)
            state.advance(to: second)
            return state.past.map(\.document).filter { $0.second >= second - Int64(count) }
        }
    }

    /// Items of a model that were answered per second, of late.
    func rate(of model: String, at time: TimeSpan) -> Double {
        state.withLock { state in
            let second = Self.second(of: time)
            state.advance(to: second)
            let span = min(Self.rateSeconds, second)
            guard span > 0 else { return 0 }
            let count = state.past.reduce(0) { sum, past in
                past.document.second >= second - span ? sum + (past.models[model] ?? 0) : sum
            }
            return Double(count) / Double(span)
        }
    }
}
