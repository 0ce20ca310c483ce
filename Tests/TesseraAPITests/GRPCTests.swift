#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import InferenceProtocol
import NIOCore
import SwiftProtobuf
import Synchronization
import TesseraCore
import Testing

@testable import TesseraAPI

private typealias Method = Inference_GRPCInferenceService.Method

@Suite struct GRPCTests {
    @Test("health and metadata are as the protocol says")
    func metadata() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            let live: Inference_ServerLiveResponse = try await api.call(
                Method.ServerLive.descriptor, Inference_ServerLiveRequest())
            #expect(live.live)
            let server: Inference_ServerMetadataResponse = try await api.call(
                Method.ServerMetadata.descriptor, Inference_ServerMetadataRequest())
            #expect(server.name == "tessera" && server.version == "0.1.0")
            #expect(server.extensions.contains("model_repository"))
            for (name, version, isReady) in [
                ("identity", "", true), ("identity", "1", true), ("identity", "2", false),
                ("waiting", "", false), ("none", "", false),
            ] {
                let ready: Inference_ModelReadyResponse = try await api.call(
                    Method.ModelReady.descriptor,
                    Inference_ModelReadyRequest.with {
                        $0.name = name
                        $0.version = version
                    })
                #expect(ready.ready == isReady, "\(name) \(version)")
            }
            let model: Inference_ModelMetadataResponse = try await api.call(
                Method.ModelMetadata.descriptor,
                Inference_ModelMetadataRequest.with { $0.name = "identity" })
            #expect(model.versions == ["1"])
            #expect(model.inputs.map(\.shape) == [[1, 4]])
            #expect(model.outputs.map(\.datatype) == ["FP32"])
            let configuration: Inference_ModelConfigResponse = try await api.call(
                Method.ModelConfig.descriptor,
                Inference_ModelConfigRequest.with { $0.name = "mixed" })
            #expect(configuration.config.input.map(\.dataType).contains(.typeBf16))
            let unknown = await api.error {
                try await api.call(
                    Method.ModelMetadata.descriptor,
                    Inference_ModelMetadataRequest.with { $0.name = "none" },
                    as: Inference_ModelMetadataResponse.self)
            }
            #expect(unknown?.code == .notFound)
            api.backend.state.withLock { $0.isReady = false }
            let ready: Inference_ServerReadyResponse = try await api.call(
                Method.ServerReady.descriptor, Inference_ServerReadyRequest())
            #expect(!ready.ready)
        }
    }

    @Test("raw tensors go in and out byte by byte as they are")
    func raw() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            var request = GRPCHarness.request(values: [1, -.infinity, .nan, 0.1])
            request.id = "q-7"
            request.parameters["timeout"] = .with { $0.int64Param = 1_500_000 }
            request.outputs = [.with { $0.name = "y" }]
            let response = try await api.infer(request)
            #expect(response.rawOutputContents == request.rawInputContents)
            #expect(response.id == "q-7" && response.modelName == "identity")
            #expect(response.outputs.map(\.shape) == [[1, 4]])
            #expect(response.parameters["tessera_request"]?.stringParam == "0a1b2c3d-1-2")
            #expect(response.parameters["tessera_node"]?.stringParam == "here")
            let seen = try #require(api.backend.state.withLock { $0.requests.last })
            #expect(seen.deadline == .microseconds(1_500_000))
            let batch = GRPCHarness.request(values: (0..<40).map(Float.init))
            let joined = try await api.infer(batch)
            #expect(joined.outputs.first?.shape == [10, 4])
            #expect(joined.rawOutputContents == batch.rawInputContents)
        }
    }

    @Test("every element type goes through as raw contents")
    func types() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            let request = Inference_ModelInferRequest.with { request in
                request.modelName = "mixed"
                for type in ElementType.allCases {
                    request.inputs.append(
                        .with {
                            $0.name = "in-\(type)"
                            $0.datatype = type.protocolName
                            $0.shape = [1, 2]
                        })
                    request.rawInputContents.append(
                        .init((0..<2 * type.byteCount).map { UInt8($0 % 2) }))
                }
            }
            let response = try await api.infer(request)
            #expect(response.rawOutputContents == request.rawInputContents)
            #expect(response.outputs.map(\.datatype) == ElementType.allCases.map(\.protocolName))
        }
    }

    @Test("values one by one are taken if they fit the type")
    func typed() throws {
        let fitting: [(ElementType, TensorNumbers, [UInt8])] = [
            (.boolean, .booleans([true, false]), [1, 0]), (.int8, .signed([-1, 2]), [255, 2]),
            (.int16, .signed([-2, 2]), [254, 255, 2, 0]),
            (.int32, .signed([1, -1]), [1, 0, 0, 0, 255, 255, 255, 255]),
            (.uint8, .unsigned([255, 2]), [255, 2]), (.uint16, .unsigned([256, 2]), [0, 1, 2, 0]),
            (.uint32, .unsigned([1, 2]), [1, 0, 0, 0, 2, 0, 0, 0]),
            (
                .int64, .signed64([1, -1]),
                [1] + [UInt8](repeating: 0, count: 7)
                    + [UInt8](repeating: 255, count: 8)
            ),
            (.uint64, .unsigned64([1, 2]), [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
            (.float32, .floats([1, 2]), InferenceTests.floats([1, 2])),
            (.float64, .doubles([0, 1]), [UInt8](repeating: 0, count: 14) + [0xF0, 0x3F]),
        ]
        for (type, numbers, bytes) in fitting {
            #expect(Array(try numbers.bytes(of: type, count: 2).readableBytesView) == bytes)
            #expect(throws: TensorTextError.count(expected: 3, found: 2)) {
                try numbers.bytes(of: type, count: 3)
            }
        }
        #expect(throws: TensorTextError.element(index: 1, type: .int8)) {
            try TensorNumbers.signed([0, 128]).bytes(of: .int8, count: 2)
        }
        for type in [ElementType.float16, .bfloat16, .int64] {
            #expect(throws: TensorTextError.self) {
                try TensorNumbers.floats([1]).bytes(of: type, count: 1)
            }
        }
    }

    @Test("typed contents go in, and wrong requests get INVALID_ARGUMENT with a reason")
    func contents() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            var request = GRPCHarness.request()
            request.rawInputContents = []
            request.inputs[0].contents.fp32Contents = [1, 2.5, -3, 0.1]
            let response = try await api.infer(request)
            #expect(response.rawOutputContents == GRPCHarness.request().rawInputContents)
            typealias Change = (inout Inference_ModelInferRequest) -> Void
            let wrong: [(String, Change)] = [
                ("no values", { $0.inputs[0].clearContents() }),
                ("both contents", { $0.rawInputContents = [.init()] }),
                (
                    "3 raw_input_contents for 1",
                    { $0.rawInputContents = [.init(), .init(), .init()] }
                ),
                ("more than one type", { $0.inputs[0].contents.intContents = [1] }),
                ("numbers only", { $0.inputs[0].contents.bytesContents = [.init()] }),
                ("\"BYTES\"", { $0.inputs[0].datatype = "BYTES" }),
                ("has shape [2, 3]", { $0.inputs[0].shape = [2, 3] }),
                ("has shape [?, 4]", { $0.inputs[0].shape = [-1, 4] }),
                ("no input \"z\"", { $0.inputs[0].name = "z" }),
                ("given twice", { $0.inputs.append($0.inputs[0]) }),
                ("missing", { $0.inputs = [] }),
                ("no output \"z\"", { $0.outputs = [.with { $0.name = "z" }] }),
                ("timeout", { $0.parameters["timeout"] = .with { $0.stringParam = "1" } }),
                (
                    "shared memory",
                    {
                        $0.inputs[0].parameters["shared_memory_region"] = .with {
                            $0.stringParam = "r"
                        }
                    }
                ),
                ("id is longer", { $0.id = String(repeating: "i", count: 2_000) }),
            ]
            for (reason, change) in wrong {
                var bad = request
                change(&bad)
                let error = await api.error { try await api.infer(bad) }
                #expect(error?.code == .invalidArgument, "\(reason)")
                #expect(error?.message.contains(reason) == true, "\(error?.message ?? "none")")
            }
            var version = request
            version.modelVersion = "2"
            #expect(await api.error { try await api.infer(version) }?.code == .notFound)
        }
    }

    @Test("errors of the core have their code, and overload says when to come again")
    func errors() async throws {
        let expected: [(String, RPCError.Code)] = [
            ("unknown-to-core", .notFound), ("unavailable", .unavailable),
            ("overloaded", .unavailable), ("late", .deadlineExceeded), ("failed", .internalError),
            ("refused", .invalidArgument), ("leaving", .unavailable), ("nothing", .notFound),
            ("unread", .unavailable),
        ]
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            for (model, code) in expected {
                let error = await api.error { try await api.infer(GRPCHarness.request(model)) }
                #expect(error?.code == code, "\(model)")
                #expect(error?.message.isEmpty == false)
                if model == "overloaded" {
                    #expect(error?.retryAfter == ["3"])
                }
            }
        }
    }

    @Test("a request ends when its deadline passes or its client goes away")
    func cancellation() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            var signals = api.backend.signals.makeAsyncIterator()
            // On a busy machine a short time is over before the request is there.
            var timeout = Duration.milliseconds(250)
            while api.backend.state.withLock({ $0.requests.isEmpty }) {
                var options = CallOptions.defaults
                options.timeout = timeout
                let error = await api.error {
                    try await api.infer(GRPCHarness.request("slow"), options: options)
                }
                #expect(error?.code == .deadlineExceeded)
                timeout *= 2
            }
            #expect(await signals.next() == "infers")
            #expect(await signals.next() == "cancelled")
            let seen = try #require(api.backend.state.withLock { $0.requests.last?.deadline })
            #expect(seen <= .seconds(60))
            await withTaskGroup(of: Void.self) { tasks in
                // It is cancelled.
                tasks.addTask { _ = try? await api.infer(GRPCHarness.request("slow")) }
                #expect(await signals.next() == "infers")
                tasks.cancelAll()
                #expect(await signals.next() == "cancelled")
            }
        }
    }

    @Test("a client that leaves its deadline to the server is told that it passed")
    func deadlineAtServer() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            // The client keeps no time itself: what it gets is what the server says.
            let error = await api.error {
                try await api.infer(
                    GRPCHarness.request("slow"), metadata: ["grpc-timeout": "250m"])
            }
            #expect(error?.code == .deadlineExceeded, "\(String(describing: error))")
        }
    }

    @Test("inputs that the engine cannot compute with are refused with the reason")
    func unfit() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            var request = GRPCHarness.request()
            request.rawInputContents = [.init(repeating: 0xFF, count: 16)]
            let unfit = request
            let error = await api.error { try await api.infer(unfit) }
            #expect(error?.code == .invalidArgument && error?.message == "all bits are set")
            #expect(api.backend.state.withLock { $0.requests.isEmpty })
        }
    }

    @Test("of the call's deadline and the parameter timeout the shorter one holds")
    func shorterDeadline() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            for (call, parameter) in [
                (Duration.seconds(20), Int64(1_500_000)), (.seconds(5), 25_000_000),
            ] {
                var options = CallOptions.defaults
                options.timeout = call
                var request = GRPCHarness.request()
                request.parameters["timeout"] = .with { $0.int64Param = parameter }
                _ = try await api.infer(request, options: options)
                let seen = try #require(api.backend.state.withLock { $0.requests.last?.deadline })
                if parameter < 5_000_000 {
                    #expect(seen == .microseconds(parameter))
                } else {
                    #expect(seen > .zero && seen <= .seconds(5))
                }
            }
        }
    }

    @Test("compressed requests are inflated, and only they are answered compressed")
    func compression() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            for algorithm in [CompressionAlgorithm.gzip, .deflate] {
                var options = CallOptions.defaults
                options.compression = algorithm
                let response = try await api.infer(GRPCHarness.request(), options: options)
                #expect(response.rawOutputContents == GRPCHarness.request().rawInputContents)
            }
        }
    }

    @Test("a stream is answered in order, and errors do not end it")
    func stream() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            let count = 3 * GRPCInference.streamWindow
            let responses = try await api.client.bidirectionalStreaming(
                request: StreamingClientRequest { writer in
                    for number in 0..<count {
                        var request = GRPCHarness.request(number % 5 == 4 ? "none" : "identity")
                        request.id = "\(number)"
                        try await writer.write(request)
                    }
                },
                descriptor: Method.ModelStreamInfer.descriptor,
                serializer: GRPCHarness.serializer, deserializer: GRPCHarness.deserializer,
                options: .defaults
            ) { response in
                var all: [Inference_ModelStreamInferResponse] = []
                for try await message in response.messages { all.append(message) }
                return all
            }
            #expect(responses.map(\.inferResponse.id) == (0..<count).map { "\($0)" })
            for (number, response) in responses.enumerated() {
                #expect(response.errorMessage.contains("no model") == (number % 5 == 4))
            }
        }
    }

    @Test("models are unloaded and loaded again with the admin token")
    func repository() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            let admin: Metadata = ["authorization": "Bearer \(APIHarness.adminToken)"]
            func load(_ name: String, manifest: String?, _ metadata: Metadata) async -> RPCError? {
                await api.error {
                    try await api.call(
                        Method.RepositoryModelLoad.descriptor,
                        Inference_RepositoryModelLoadRequest.with { request in
                            request.modelName = name
                            request.parameters["manifest"] = manifest.map { text in
                                .with { $0.stringParam = text }
                            }
                        }, as: Inference_RepositoryModelLoadResponse.self, metadata: metadata)
                }
            }
            func unload(_ name: String, _ metadata: Metadata) async -> RPCError? {
                await api.error {
                    try await api.call(
                        Method.RepositoryModelUnload.descriptor,
                        Inference_RepositoryModelUnloadRequest.with { $0.modelName = name },
                        as: Inference_RepositoryModelUnloadResponse.self, metadata: metadata)
                }
            }
            func index(ready: Bool) async throws -> [String] {
                let response: Inference_RepositoryIndexResponse = try await api.call(
                    Method.RepositoryIndex.descriptor,
                    Inference_RepositoryIndexRequest.with { $0.ready = ready })
                return response.models.map { "\($0.name) \($0.state)" }
            }
            #expect(await load("new", manifest: nil, [:])?.code == .unauthenticated)
            #expect(await unload("new", [:])?.code == .unauthenticated)
            #expect(await load("new", manifest: nil, admin)?.code == .notFound)
            #expect(await load("new", manifest: "no", admin)?.code == .invalidArgument)
            #expect(await load("new", manifest: TestBackend.manifest.hexadecimal, admin) == nil)
            #expect(try await index(ready: true) == ["identity READY", "new READY"])
            #expect(await unload("new", admin) == nil)
            #expect(await unload("new", admin)?.code == .notFound)
            #expect(
                try await index(ready: false)
                    == ["identity READY", "new UNAVAILABLE", "waiting UNAVAILABLE"])
            #expect(await load("new", manifest: nil, admin) == nil)
            #expect(await load("new", manifest: nil, admin) == nil)
            #expect(try await index(ready: true) == ["identity READY", "new READY"])
        }
    }
}
