import Hummingbird
import NIOCore
import TesseraCore

/// What the Open Inference Protocol does, whichever way a call came.
struct InferenceService: Sendable {
    /// So many items of one batch are under way at once; the others wait.
    static let itemsAtOnce = 16
    /// What the protocol calls the thing that runs models.
    static let platform = "tessera_openvino"
    /// What else of the protocol there is.
    static let extensions = ["binary_tensor_data", "model_configuration", "model_repository"]

    let backend: any AgentBackend
    /// The models that were unloaded here and can be loaded again by their names alone.
    let unloaded = UnloadedModels()
    /// What became of requests here.
    let metrics = RequestMetrics()

    /// Why the agent cannot answer; nil if it can.
    func notReady() async -> APIError? {
        await backend.readiness().reason.map { reason in
            APIError(
                status: .serviceUnavailable, message: "this agent is not ready: \(reason)",
                retryAfterSeconds: 1)
        }
    }

    /// An agent that has just started cannot tell which models there are.
    private func unknown(_ name: String) async -> APIError {
        await notReady() ?? .notFound("the mesh has no model \"\(name.prefix(200))\"")
    }

    /// The model under a name.
    func model(_ name: String, version: String = "") async throws(APIError) -> ModelInformation {
        try ModelVersion.check(version, of: name)
        guard let model = await backend.model(named: name) else { throw await unknown(name) }
        return model
    }

    /// Throws unless a plan serves the model.
    func checkReady(_ name: String, version: String = "") async throws(APIError) {
        let model = try await model(name, version: version)
        if let reason = model.readiness.reason {
            throw APIError(
                status: .serviceUnavailable, message: "model \(name) is not ready: \(reason)",
                retryAfterSeconds: 1)
        }
    }

    /// The model under a name, for a call to it.
    func interface(
        of name: String, version: String = ""
    ) async throws(APIError)
        -> ModelInformation
    {
        try ModelVersion.check(version, of: name)
        guard let model = await backend.interface(of: name) else { throw await unknown(name) }
        guard !model.outputs.isEmpty else {
            throw APIError(
                status: .serviceUnavailable,
                message: "this agent does not know model \(model.name) yet: "
                    + (model.readiness.reason ?? "its manifest has not arrived"),
                retryAfterSeconds: 1)
        }
        return model
    }

    /// A client that names an exit's own output wants all of the model.
    private func wish(_ call: InferenceCall, model: ModelInformation) -> ExitWish {
        guard call.namesOutputs else { return call.exits }
        let named = call.outputs.map { model.outputs[$0.index].name }
        return model.exits.contains(where: named.contains) ? .none : call.exits
    }

    /// Answers one item, and counts what became of it.
    func answer(_ request: InferenceRequest) async throws -> InferenceResponse {
        if let fault = backend.fault(of: request.inputs) { throw APIError.badRequest(fault) }
        let begin = ContinuousClock.now
        do {
            let response = try await backend.infer(request)
            metrics.note(.answered, model: request.model, after: .now - begin)
            return response
        } catch {
            let outcome = Task.isCancelled ? .cancelled : RequestOutcome(error)
            metrics.note(outcome, model: request.model, after: .now - begin)
            throw APIError(error, model: request.model)
        }
    }

    /// Infers a call's items, some at once; the first error ends them all.
    func infer(_ call: InferenceCall, model: ModelInformation) async throws -> InferenceResult {
        @Sendable func answer(_ item: Int) async throws -> InferenceResponse {
            try await self.answer(
                InferenceRequest(
                    model: model.name, manifest: model.manifest, inputs: call.items[item],
                    outputs: model.outputs, deadline: call.deadline,
                    exits: wish(call, model: model), trace: call.trace))
        }
        guard call.isBatch else {
            return try InferenceResult(model: model, call: call, answers: [try await answer(0)])
        }
        let answers = try await withThrowingTaskGroup(of: (Int, InferenceResponse).self) { group in
            var answers = [InferenceResponse?](repeating: nil, count: call.items.count)
            var next = 0
            while next < min(Self.itemsAtOnce, call.items.count) {
                let item = next
                group.addTask { (item, try await answer(item)) }
                next += 1
            }
            while let (item, response) = try await group.next() {
                answers[item] = response
                guard next < call.items.count else { continue }
                let item = next
                group.addTask { (item, try await answer(item)) }
                next += 1
            }
            return answers.compactMap { $0 }
        }
        return try InferenceResult(model: model, call: call, answers: answers)
    }
}
