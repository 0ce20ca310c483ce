import Synchronization
import TesseraCore

/// A model in the index of the repository.
struct RepositoryEntry: Hashable, Sendable {
    /// Its name.
    var name: String
    /// Why it cannot be used; nil if it can.
    var reason: String?

    /// The protocol's word.
    var state: String { reason == nil ? "READY" : "UNAVAILABLE" }
}

extension InferenceService {
    /// Throws if a parameter of a load asks for what a repository of files does.
    static func checkLoadParameters(_ names: some Sequence<String>) throws(APIError) {
        for name in names where name != manifestParameter {
            throw .badRequest(
                "the parameter \"\(name.prefix(40))\" of a load is not supported; a model's file "
                    + "and settings are given with 'tessera model add'")
        }
    }

    /// The parameter that names the manifest of a model to load.
    static let manifestParameter = "manifest"

    /// The models of the mesh, and those that were unloaded here.
    func repositoryIndex(readyOnly: Bool) async -> [RepositoryEntry] {
        let models = await backend.models().models
        var entries = models.map { model in
            RepositoryEntry(
                name: model.name,
                reason: model.isReady ? nil : model.reason ?? "it is not ready")
        }
        for name in unloaded.names where !entries.contains(where: { $0.name == name }) {
            entries.append(RepositoryEntry(name: name, reason: "unloaded"))
        }
        return entries.filter { !readyOnly || $0.reason == nil }.sorted { $0.name < $1.name }
    }

    /// Gives the mesh a model under a name: the one with this manifest, or the one that was
    /// unloaded here.
    ///
    /// Nothing happens if the mesh has it.
    func load(_ name: String, manifest: String?) async throws(APIError) {
        let known = await backend.models().models.first { $0.name == name }
        let wanted: ManifestID
        var settings = ModelSettings()
        if let manifest {
            guard let id = ManifestID(hexadecimal: manifest) else {
                throw .badRequest(
                    "the parameter \(Self.manifestParameter) is not 64 hexadecimal digits")
            }
            if known?.manifest == id.hexadecimal { return }
            wanted = id
        } else if known != nil {
            return
        } else if let entry = unloaded.find(name) {
            (wanted, settings) = (entry.manifest, entry.settings)
        } else {
            if let error = await notReady() { throw error }
            throw .notFound(
                "there is no model \"\(name.prefix(200))\" to load; add it with 'tessera model "
                    + "add', or name the manifest of one that this agent stores with the "
                    + "parameter \(Self.manifestParameter)")
        }
        do {
            try await backend.addModel(named: name, manifest: wanted, settings: settings)
        } catch {
            throw APIError(error)
        }
        unloaded.forget(name)
    }

    /// Takes a name out of the mesh, and keeps in mind what it stood for.
    func unload(_ name: String) async throws(APIError) {
        let known = await backend.models().models.first { $0.name == name }
        do {
            try await backend.removeModel(named: name)
        } catch {
            throw APIError(error)
        }
        // Without a manifest that can be read there is nothing to load again.
        if let known, let manifest = ManifestID(hexadecimal: known.manifest) {
            // The agent wrote them itself; if they are beyond its own limits, the usual ones serve.
            let settings = try? known.settings?.settings()
            unloaded.keep(name, manifest: manifest, settings: settings ?? ModelSettings())
        }
    }
}

/// The models that this agent was told to unload: Triton's clients load them again by name.
///
/// Only what the process remembers; a model's blobs stay on the disks of the mesh for a while.
final class UnloadedModels: Sendable {
    /// What a name stood for.
    struct Entry: Sendable {
        var name: String
        var manifest: ManifestID
        var settings: ModelSettings
    }

    /// The oldest ones are forgotten beyond this.
    static let countMax = 256

    private let entries = Mutex<[Entry]>([])

    /// The names, oldest first.
    var names: [String] { entries.withLock { $0.map(\.name) } }

    /// Keeps a model in mind.
    func keep(_ name: String, manifest: ManifestID, settings: ModelSettings) {
        entries.withLock { entries in
            entries.removeAll { $0.name == name }
            entries.append(Entry(name: name, manifest: manifest, settings: settings))
            if entries.count > Self.countMax { entries.removeFirst() }
        }
    }

    /// What a name stood for.
    func find(_ name: String) -> Entry? {
        entries.withLock { $0.first { $0.name == name } }
    }

    /// Forgets a name.
    func forget(_ name: String) {
        entries.withLock { $0.removeAll { $0.name == name } }
    }
}
