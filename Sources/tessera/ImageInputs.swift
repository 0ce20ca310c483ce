import Synchronization
import TesseraAPI
import TesseraCore
import TesseraModel
import TesseraNode

/// Remembers what manifests say of images, so that a manifest is not read for each image.
final class ImageInputs: Sendable {
    /// More models than an agent is asked for at a time.
    private static let modelsMax = 64

    // Only looked up, never walked; the inner nil is what a manifest says that says nothing.
    private let state = Mutex<[ManifestID: ImageInput?]>([:])

    /// What was kept of a manifest; nil if nothing was.
    func find(_ manifest: ManifestID) -> ImageInput?? { state.withLock { $0[manifest] } }

    /// Keeps what a manifest says.
    func keep(_ image: ImageInput?, of manifest: ManifestID) {
        state.withLock { state in
            if state.count >= Self.modelsMax { state = [:] }
            state.updateValue(image, forKey: manifest)
        }
    }
}

extension NodeBackend {
    func imageInput(of model: ModelInformation) async -> ImageInput? {
        await imageInput(of: model.manifest)
    }

    /// What a manifest that is stored here says of images; a manifest never changes.
    func imageInput(of manifest: ManifestID) async -> ImageInput? {
        if let known = images.find(manifest) { return known }
        let store = node.library.store
        guard store.contains(.manifest(manifest)) else { return nil }
        do {
            let image = try await node.onDisk { try store.manifest(manifest).image }
            images.keep(image, of: manifest)
            return image
        } catch {
            // It is damaged, or the agent stops: then there is nothing to be said now.
            return nil
        }
    }
}
