import Synchronization
import TesseraAPI

/// Remembers models' inputs and outputs, so that a request does not ask the control loop for what
/// seldom changes.
final class InterfaceCache: Sendable {
    private struct State {
        var version: UInt64 = 0
        // Only looked up, never walked.
        var models: [String: ModelInformation] = [:]
    }

    private let state = Mutex(State())

    /// The model under a name, if it was kept for this version of the models.
    func find(_ name: String, version: UInt64) -> ModelInformation? {
        state.withLock { $0.version == version ? $0.models[name] : nil }
    }

    /// Keeps a model that was read after `version` was.
    func keep(_ model: ModelInformation, version: UInt64) {
        state.withLock { state in
            if state.version != version { state.models = [:] }
            state.version = version
            state.models[model.name] = model
        }
    }
}
