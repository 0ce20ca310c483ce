import Dispatch
import Synchronization

/// Notices from outside that a blocking call does not return.
final class CallWatch: Sendable {
    private struct State {
        /// When the running call began.
        var beganMilliseconds: UInt64?
        /// Whether it was reported already.
        var isReported = false
    }

    private let state = Mutex(State())

    /// Makes a running timer that looks at the call; `onHang` is called once per hanging call, on a
    /// queue of the watch's own and never after the call was found to have returned.
    func makeTimer(onHang: @escaping @Sendable () -> Void) -> any DispatchSourceTimer {
        let period = DiscoveryLimits.watchPeriodMilliseconds
        let timer = DispatchSource.makeTimerSource(
            queue: DispatchQueue(label: "tessera.discovery.watch"))
        timer.setEventHandler { @Sendable [weak self] in self?.check(onHang) }
        timer.schedule(
            deadline: .now() + .milliseconds(period), repeating: .milliseconds(period),
            leeway: .milliseconds(period / 5))
        timer.activate()
        return timer
    }

    /// Runs a call under watch; says whether it was reported as hanging.
    func run<Result>(_ call: () -> Result) -> (result: Result, wasHung: Bool) {
        state.withLock { $0 = State(beganMilliseconds: monotonicMilliseconds()) }
        let result = call()
        let wasHung = state.withLock { state in
            defer { state = State() }
            return state.isReported
        }
        return (result, wasHung)
    }

    private func check(_ onHang: @Sendable () -> Void) {
        state.withLock { state in
            guard let began = state.beganMilliseconds, !state.isReported,
                monotonicMilliseconds() - began > UInt64(DiscoveryLimits.hangMilliseconds)
            else { return }
            state.isReported = true
            // Under the lock, so that "hangs" is always said before what the call's end says.
            onHang()
        }
    }
}
