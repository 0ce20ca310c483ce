import COpenVINO
import Dispatch
import Synchronization

/// A fixed set of OpenVINO's infer requests; whoever wants one more waits.
final class RequestPool: Sendable {
    /// One infer request, used by one thread at a time.
    struct Request: @unchecked Sendable {
        // The pool gives a request to one caller only until it comes back, so it never is on two
        // threads at once.
        let pointer: OpaquePointer
    }

    /// How many requests there are.
    let count: Int
    private let idle: Mutex<[Request]>
    private let permits: DispatchSemaphore
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
        idle = Mutex(made)
        permits = DispatchSemaphore(value: count)
        self.weights = weights
    }

    deinit {
        idle.withLock { requests in
            for request in requests { ov_infer_request_free(request.pointer) }
        }
    }

    /// Takes a request, waiting for one if all are out.
    func take() -> Request {
        permits.wait()
        return idle.withLock { requests in
            guard let request = requests.popLast() else {
                fatalError("RequestPool: a permit without a request, of \(count)")
            }
            return request
        }
    }

    /// Gives a request back.
    func giveBack(_ request: Request) {
        idle.withLock { requests in
            requests.append(request)
            guard requests.count <= count else {
                fatalError("RequestPool: \(requests.count) requests came back, of \(count)")
            }
        }
        permits.signal()
    }
}
