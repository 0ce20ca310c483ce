import Logging
public import NIOCore
import Synchronization
public import TesseraCore

// Requests that come in at this node.

extension Node {
    /// Runs one item through a model.
    ///
    /// Inputs are in the model's order and of the right sizes. The model's name is for traces and
    /// logs; the trace is the client's.
    ///
    /// Cancelling the task gives the request up.
    public func infer(
        _ manifest: ManifestID, inputs: [ByteBuffer], deadline: TimeSpan, model: String? = nil,
        exits: ExitWish = .usual, trace: TraceContext? = nil
    ) async throws(RequestError) -> InferenceResult {
        let promise = shell.loop.makePromise(of: InferenceResult.self)
        let shell = shell
        let client = Mutex<ClientID?>(nil)
        let label = Mutex<RequestLabel?>(nil)
        let began = MonotonicClock.now
        let result: Result<InferenceResult, any Error> = await withTaskCancellationHandler {
            shell.loop.execute {
                guard !shell.isStopped else { return promise.fail(RequestError.leaving) }
                let id = ClientID(number: shell.nextClient)
                shell.nextClient += 1
                client.withLock { $0 = id }
                shell.clients[id] = promise
                let trace = shell.submit(
                    id, manifest, inputs, deadline: deadline, model: model, exits: exits,
                    trace: trace)
                let request = shell.agent.request(of: id)?.text
                if let request { shell.traces?.requestNamed(id, request) }
                label.withLock { $0 = RequestLabel(request: request, trace: trace?.traceID) }
            }
            do {
                return .success(try await promise.futureResult.get())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            shell.loop.execute {
                guard let id = client.withLock({ $0 }) else { return }
                guard let promise = shell.clients.removeValue(forKey: id) else { return }
                let error = RequestError.failed(reason: "the client went away")
                shell.traces?.requestFailed(id, reason: "the client went away")
                promise.fail(error)
                shell.handle(.abandoned(id))
            }
        }
        note(result, label.withLock { $0 }, model: model ?? manifest.short, since: began)
        switch result {
        case .success(let result): return result
        case .failure(let error):
            throw error as? RequestError ?? .failed(reason: "\(error)")
        }
    }

    /// A line for each request: what goes well, and what a flood can bring about, only for those who
    /// debug.
    private func note(
        _ result: Result<InferenceResult, any Error>, _ label: RequestLabel?, model: String,
        since began: Timestamp
    ) {
        var level = Logger.Level.debug
        if case .failure(let error) = result {
            switch error as? RequestError {
            case .failed, .refused: level = .warning
            default: break
            }
        }
        guard level >= logger.logLevel else { return }
        var metadata: Logger.Metadata = [
            "model": "\(model)", "microseconds": "\((MonotonicClock.now - began).microseconds)",
        ]
        var request = label?.request
        switch result {
        case .success(let result):
            // It may be answered before its name could be asked for.
            request = result.detail.attempt.request.text
            metadata["attempts"] = "\(result.detail.attempts)"
            metadata["plan"] = "\(result.detail.attempt.plan.short)"
        case .failure(let error): metadata["reason"] = "\(error)"
        }
        // One that was refused at once never got a name.
        metadata["request"] = "\(request ?? "none")"
        if let trace = label?.trace { metadata["trace"] = "\(trace)" }
        logger.log(
            level: level, metadata["reason"] == nil ? "request answered" : "request not answered",
            metadata: metadata)
    }
}

/// What a request is called in logs.
private struct RequestLabel: Sendable {
    /// Its name everywhere; nil if it ended before it got one.
    var request: String?
    /// Its trace, if it has one.
    var trace: String?
}

extension NodeShell {
    /// Hands a client's request to the core; gives its context in a trace.
    fileprivate func submit(
        _ client: ClientID, _ manifest: ManifestID, _ inputs: [ByteBuffer], deadline: TimeSpan,
        model: String?, exits: ExitWish, trace: TraceContext?
    ) -> TraceContext? {
        var context = trace
        if let traces {
            context = traces.requestBegan(
                client, manifest: manifest, model: model, parent: trace)
        }
        handle(
            .submitted(
                client: client, manifest: manifest,
                inputs: inputs.map { payloads.insert($0) }, deadline: deadline, exits: exits,
                trace: context))
        return context
    }
}
