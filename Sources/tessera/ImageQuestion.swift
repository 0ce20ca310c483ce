import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TesseraAPI

/// Asks a model what it sees in an image.
struct ImageQuestion {
    /// A request ends within the agent's own deadline of 30 s.
    private static let timeout = TimeAmount.seconds(60)
    /// Longer files are refused by the agent, too.
    private static let fileBytesMax = 32 << 20

    let client: APIClient
    let model: String

    /// What the model sees in the image of a file.
    func ask(file: String, top: Int) async throws -> ClassificationDocument {
        let bytes = try Files.read(file, bytesMax: Self.fileBytesMax, what: "the image")
        let answer = try await client.call(
            .POST, "/tessera/v1/models/\(APIClient.component(model))/classify?top=\(top)",
            headers: ["Content-Type": "application/octet-stream"],
            body: .bytes(ByteBuffer(bytes: bytes)), timeout: Self.timeout)
        guard answer.status == 200 else {
            throw CommandFailure("\(file): " + APIClient.refusal(answer))
        }
        return try client.read(ClassificationDocument.self, answer.body)
    }

    /// The classes as people read them.
    static func table(_ document: ClassificationDocument) -> Table {
        var table = Table(">PROBABILITY", "CLASS", ">NUMBER")
        for one in document.classes {
            table.add(
                Figures.decimal(one.probability * 100, places: 2) + " %", one.label ?? "-",
                "\(one.index)")
        }
        return table
    }
}
