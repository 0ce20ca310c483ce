import Foundation
import TesseraCore
import Testing

@testable import TesseraAPI

@Suite struct CodecSettingsTests {
    private func settings() -> ModelSettings {
        ModelSettings(
            codecs: CodecAllowance(
                measure: .relativeError, maxDropPerMillion: 5_000, dropPerMillion: 4_999,
                itemCount: 200,
                tensors: [
                    .init(tensor: 0, losslessPerMille: 410, tried: []),
                    .init(
                        tensor: 7, losslessPerMille: 880,
                        tried: [
                            .init(codec: .float16, dropPerMillion: 3, isAllowed: true),
                            .init(codec: .int8, dropPerMillion: 70_000, isAllowed: false),
                        ]),
                ]))
    }

    private func json(_ document: ModelSettingsDocument) throws -> JSONValue {
        try JSONReader.read(Array(try JSONEncoder().encode(document)))
    }

    @Test("an allowance comes back from JSON as it was")
    func roundTrip() throws {
        let document = ModelSettingsDocument(settings())
        let back = try ModelSettingsDocument(json: try json(document))
        #expect(back == document)
        #expect(try back.settings() == settings())
    }

    @Test("a limit of the energy comes back from JSON in whole microjoules, and has limits itself")
    func energy() throws {
        let settings = ModelSettings(goal: PlanGoal(objective: .energy, nanojoulesMax: 2_500_000))
        let document = ModelSettingsDocument(settings)
        #expect(document.maxEnergyMicrojoules == 2_500)
        let back = try ModelSettingsDocument(json: try json(document))
        #expect(try back.settings() == settings)
        for wrong: Int64 in [0, -1, 1_000_000_000_001] {
            var document = document
            document.maxEnergyMicrojoules = wrong
            #expect(throws: ControlError.self) { try document.settings() }
        }
    }

    @Test("an allowance that makes no sense is refused with the field")
    func refused() throws {
        func expectRefused(_ change: (inout CodecsDocument) -> Void) throws {
            var document = ModelSettingsDocument(settings())
            document.codecs.map { codecs in
                var codecs = codecs
                change(&codecs)
                document.codecs = codecs
            }
            let read = try ModelSettingsDocument(json: try json(document))
            #expect(throws: ControlError.self) { try read.settings() }
        }
        try expectRefused { $0.measure = "guess" }
        try expectRefused { $0.maxDropPerMillion = 1_000_001 }
        try expectRefused { $0.items = -1 }
        try expectRefused { $0.tensors.swapAt(0, 1) }
        try expectRefused { $0.tensors[1].tried[0].codec = "lossless" }
        try expectRefused { $0.tensors[1].tried.swapAt(0, 1) }
        try expectRefused { $0.tensors[1].losslessPerMille = 1_001 }
        #expect(throws: APIError.self) {
            try ModelSettingsDocument(json: JSONReader.read(Array("{\"codecs\": 3}".utf8)))
        }
    }
}
