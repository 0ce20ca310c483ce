import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TesseraAPI
import TesseraCore
import TesseraModel

/// Brings an imported model to an agent.
struct ModelUpload: Sendable {
    /// A blob of many gigabytes takes its time, also on a slow disk.
    private static let timeout = TimeAmount.hours(2)

    let client: APIClient
    let model: ModelImport

    /// Sends every blob that the agent does not have, then the manifest.
    func send() async throws {
        let blobs = model.manifest.blobs
        let total = model.manifest.blobByteCount
        var progress = ProgressBar(total: total, unit: Figures.bytes)
        var done = 0
        var sentBytes = 0
        for (index, blob) in blobs.enumerated() {
            let path = "/tessera/v1/blobs/\(blob.id.hexadecimal)"
            if try await !isStored(path) {
                let chunks = BlobChunks(model: model, index: index, byteCount: blob.byteCount)
                let answer = try await client.call(
                    .PUT, path,
                    body: .stream(chunks, length: .known(Int64(blob.byteCount))),
                    timeout: Self.timeout)
                try APIClient.check(answer)
                sentBytes += blob.byteCount
            }
            done += blob.byteCount
            progress.show(done)
        }
        progress.end()
        let path = "/tessera/v1/manifests/\(model.manifest.id.hexadecimal)"
        if try await !isStored(path) {
            let body = ByteBuffer(bytes: model.manifest.encoded)
            try APIClient.check(
                try await client.call(.PUT, path, body: .bytes(body), timeout: Self.timeout))
        }
        Console.message(
            "\(blobs.count) blobs, \(Figures.bytes(total)) of weights, "
                + "\(Figures.bytes(sentBytes)) sent to the agent")
    }

    private func isStored(_ path: String) async throws -> Bool {
        let answer = try await client.call(.HEAD, path)
        switch answer.status {
        case 200: return true
        case 404: return false
        default:
            // The answer to HEAD has no body that would say why.
            try APIClient.check(try await client.call(.GET, path))
            return false
        }
    }

    /// Gives the model its name in the mesh.
    func addToCatalogue(name: String, settings: ModelSettingsDocument?) async throws {
        let document = AddModelDocument(
            name: name, manifest: model.manifest.id.hexadecimal, settings: settings)
        let answer = try await client.call(
            .POST, "/tessera/v1/models", headers: ["Content-Type": "application/json"],
            body: .bytes(ByteBuffer(bytes: try JSONText.bytes(document))))
        try APIClient.check(answer)
        Console.message("added as \(name), manifest \(document.manifest.prefix(8))")
    }
}

/// The bytes of a blob in pieces, read from the mapped file as they are sent.
private struct BlobChunks: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    /// Enough to keep a disk and a socket busy.
    static let chunkBytes = 1 << 20

    let model: ModelImport
    let index: Int
    let byteCount: Int

    struct AsyncIterator: AsyncIteratorProtocol {
        let chunks: BlobChunks
        var position = 0

        mutating func next() async throws -> ByteBuffer? {
            guard position < chunks.byteCount else { return nil }
            let end = Swift.min(position + BlobChunks.chunkBytes, chunks.byteCount)
            let range = position..<end
            position = end
            return chunks.model.withBlob(at: chunks.index) { ByteBuffer(bytes: $0[range]) }
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(chunks: self) }
}
