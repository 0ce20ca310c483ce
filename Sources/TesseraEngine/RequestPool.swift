import COpenVINO
import Dispatch
import Synchronization

/// A fixed set of OpenVINO's infer requests, lent in the order of asking.
///
/// The order matters: the engine's own lock lets whoever comes at the right moment pass, and some
/// runs then wait many times as long as others.
final class RequestPool: Sendable {
    /// One infer request.
    struct Request: @unchecked Sendable {
        // The pool lends a request to one caller at a time, so it never is on two threads at once.
        let pointer: OpaquePointer
    }

    /// Somebody who waits for a request; the giver leaves it here and wakes the waiter.
    private final class Waiter: Sendable {
        let turn = DispatchSemaphore(value: 0)
        let request = Mutex<Request?>(nil)
    }

    private struct State {
        var idle: [Request]
        // First in, first out: served from `served` on, and cut when all have been served.
        var waiters: [Waiter] = []
        var served = 0
    }

    /// How many requests there are.
    let count: Int
    private let state: Mutex<State>
    // A request keeps the compiled model alive, which reads the weights where they lie.
    private let weights: WeightBuffer

    /// Makes `count` requests of a compiled model over `weights`.
    init(compiled: OpaquePointer, weights: WeightBuffer, count: Int) throws(EngineError) {
        var made: [Request] = []
        for _ in 0..<count {
            var pointer: OpaquePointer?
            let reason = OpenVINO.reason {
                ov_compiled_model_create_infer_request(compiled, &pointer)
            }
            guard reason == nil, let pointer else {
                for request in made { ov_infer_request_free(request.pointer) }
                throw .compilation(reason: reason ?? "the engine gave no infer request")
            }
            made.append(Request(pointer: pointer))
        }
        self.count = count
        self.weights = weights
        state = Mutex(State(idle: made))
    }

    deinit {
        state.withLock { state in
            for request in state.idle { ov_infer_request_free(request.pointer) }
        }
    }

    /// Takes a request, waiting for its turn if all are out.
    func take() -> Request {
        if let request = state.withLock({ $0.idle.popLast() }) { return request }
        let waiter = Waiter()
        let request = state.withLock { state -> Request? in
            if let request = state.idle.popLast() { return request }
            state.waiters.append(waiter)
            return nil
        }
        if let request { return request }
        waiter.turn.wait()
        guard let request = waiter.request.withLock({ $0 }) else {
            fatalError("RequestPool: woken without a request, of \(count)")
        }
        return request
    }

    /// Gives a request back, to whoever has waited longest.
    func giveBack(_ request: Request) {
        let next = state.withLock { state -> Waiter? in
            guard state.served < state.waiters.count else {
                state.idle.append(request)
                guard state.idle.count <= count else {
                    fatalError("RequestPool: \(state.idle.count) requests came back, of \(count)")
                }
                return nil
            }
            let waiter = state.waiters[state.served]
            state.served += 1
            if state.served == state.waiters.count {
                state.waiters.removeAll(keepingCapacity: true)
                state.served = 0
            }
            return waiter
        }
        guard let next else { return }
        next.request.withLock { $0 = request }
        next.turn.signal()
    }
}
