import Dispatch

/// A serial queue of its own that serves as an actor's executor.
///
/// Discovery's actors may block for up to 25 s in a C call, so they must not run in the cooperative
/// pool; and the handlers of dispatch sources run on the queue, so they may enter the actor without
/// a task (`assumeIsolated`).
final class Lane: SerialExecutor {
    /// The queue; one job at a time.
    let queue: DispatchQueue

    /// Makes a lane whose queue carries this label.
    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    /// Runs the job on the queue.
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    /// Stops the process if the caller is not on the queue.
    func checkIsolated() {
        dispatchPrecondition(condition: .onQueue(queue))
    }
}

/// An actor that runs on a lane.
protocol LaneActor: Actor {
    /// Where it runs.
    nonisolated var lane: Lane { get }
}

extension LaneActor {
    /// Runs the body in the actor, after everything that was submitted before.
    nonisolated func submit(_ body: @escaping @Sendable (isolated Self) -> Void) {
        lane.queue.async { @Sendable in self.assumeIsolated(body) }
    }

    /// Runs the body in the actor after a delay, if the actor still exists then.
    nonisolated func submit(
        afterMilliseconds delay: Int, _ body: @escaping @Sendable (isolated Self) -> Void
    ) {
        lane.queue.asyncAfter(deadline: .now() + .milliseconds(delay)) { @Sendable [weak self] in
            self?.assumeIsolated(body)
        }
    }

    /// Makes a running timer that calls the body in the actor; cancel it to end it.
    nonisolated func makeTimer(
        everyMilliseconds period: Int, _ body: @escaping @Sendable (isolated Self) -> Void
    ) -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: lane.queue)
        timer.schedule(
            deadline: .now() + .milliseconds(period), repeating: .milliseconds(period),
            leeway: .milliseconds(period / 20))
        timer.setEventHandler { @Sendable [weak self] in self?.assumeIsolated(body) }
        timer.activate()
        return timer
    }
}

/// Reads the monotonic clock in milliseconds; discovery needs no finer time.
func monotonicMilliseconds() -> UInt64 {
    DispatchTime.now().uptimeNanoseconds / 1_000_000
}
