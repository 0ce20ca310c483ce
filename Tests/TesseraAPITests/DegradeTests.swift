import Foundation
import InferenceProtocol
import NIOCore
import TesseraCore
import Testing

@testable import TesseraAPI

/// Answers that do without branches, and the settings that allow them.
@Suite struct DegradeTests {
    private func result(_ leftOut: [[String]]) async throws -> InferenceResult {
        let model = try #require(await TestBackend().model(named: "identity"))
        let bytes = ByteBuffer(repeating: 0, count: 16)
        let call = InferenceCall(
            outputs: [.init(index: 0, isBinary: false)], items: leftOut.map { _ in [] })
        return try InferenceResult(
            model: model, call: call,
            answers: leftOut.map { names in
                InferenceResponse(
                    outputs: [InferenceTensor(descriptor: model.outputs[0], bytes: bytes)],
                    request: "0a1b2c3d-1-2", plan: TestBackend.plan, node: "here", attempts: 1,
                    leftOut: names.enumerated().map { MissingBranch(tensor: $0, name: $1) })
            })
    }

    @Test(
        "an answer says in both protocols what it does without, and says nothing if that is nothing",
        arguments: [
            ([[]], nil), ([["/b.1/Mean"]], "/b.1/Mean"), ([["a", "b"], [], ["c"]], "a;b,,c"),
        ] as [([[String]], String?)])
    func parameters(leftOut: [[String]], text: String?) async throws {
        let result = try await result(leftOut)
        let parameter = Inference_ModelInferResponse(result).parameters["tessera_left_out"]
        #expect(parameter?.stringParam == text)
        #expect(result.leftOut?.joined(separator: ",") == text)
    }

    @Test("what may be left out comes back from JSON as it was, and nonsense is refused")
    func settings() throws {
        let settings = ModelSettings(degrade: BranchDegrade(fill: .mean, most: 3))
        let document = ModelSettingsDocument(settings)
        func read(_ text: String) throws -> ModelSettingsDocument {
            try ModelSettingsDocument(json: JSONReader.read(Array(text.utf8)))
        }
        let back = try ModelSettingsDocument(
            json: JSONReader.read(Array(try JSONEncoder().encode(document))))
        #expect(try back == document && back.settings() == settings)
        #expect(
            try read("{\"degrade\": {\"branches\": \"zeros\"}}").settings().degrade
                == BranchDegrade(fill: .zeros, most: 1))
        for text in ["3", "{}", "{\"branches\": \"zeros\", \"most\": \"all\"}"] {
            #expect(throws: APIError.self) { try read("{\"degrade\": \(text)}") }
        }
        for text in ["\"median\"", "\"zeros\", \"most\": 0", "\"zeros\", \"most\": 17"] {
            let document = try read("{\"degrade\": {\"branches\": \(text)}}")
            #expect(throws: ControlError.self) { try document.settings() }
        }
    }
}
