import Foundation
import HummingbirdTesting
import Testing

@testable import TesseraAPI

/// Triton's own clients, as they are on PyPI, against the API.
///
/// `TESSERA_PYTHON` names an interpreter that has `tritonclient[http,grpc]`; without it the test is left
/// out.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["TESSERA_PYTHON"] != nil))
struct TritonClientTests {
    private static let script = #"""
        import sys
        import numpy as np
        import tritonclient.http as http
        from tritonclient.utils import InferenceServerException

        client = http.InferenceServerClient("localhost:" + sys.argv[1], concurrency=4)
        assert client.is_server_live() and client.is_server_ready()
        assert client.get_server_metadata()["name"] == "tessera"
        assert client.is_model_ready("identity") and client.is_model_ready("identity", "1")
        assert not client.is_model_ready("waiting") and not client.is_model_ready("none")
        assert client.get_model_metadata("identity")["inputs"][0]["shape"] == [1, 4]
        assert client.get_model_config("identity")["max_batch_size"] == 0
        assert client.get_model_repository_index()[0]["state"] == "READY"

        def tensor(values, name="x", kind="FP32", binary=True):
            result = http.InferInput(name, list(values.shape), kind)
            result.set_data_from_numpy(values, binary_data=binary)
            return result

        values = np.array([[1, 2.5, -3, 0.1]], dtype=np.float32)
        for sends in (True, False):
            for asks in (True, False, None):
                wanted = None if asks is None else [http.InferRequestedOutput("y", binary_data=asks)]
                result = client.infer("identity", [tensor(values, binary=sends)], outputs=wanted,
                                      request_id="r", timeout=2000000)
                assert np.array_equal(result.as_numpy("y"), values), (sends, asks)
                response = result.get_response()
                assert response["id"] == "r" and response["parameters"]["tessera_attempts"] == 1
        batch = np.arange(40, dtype=np.float32).reshape(10, 4)
        assert np.array_equal(client.infer("identity", [tensor(batch)]).as_numpy("y"), batch)
        large = np.random.default_rng(1).random((1, 100000), dtype=np.float32)
        assert np.array_equal(client.infer("large", [tensor(large)]).as_numpy("y"), large)
        running = [client.async_infer("identity", [tensor(values + i)]) for i in range(20)]
        for i, one in enumerate(running):
            assert np.array_equal(one.get_result().as_numpy("y"), values + i)

        def fails(status, call):
            try:
                call()
            except InferenceServerException as error:
                assert status in str(error.status()), error
                assert error.message(), error
                return
            raise AssertionError("no error")

        fails("404", lambda: client.infer("none", [tensor(values)]))
        fails("400", lambda: client.infer("identity", [tensor(values[:, :3].copy())]))
        fails("400", lambda: client.infer("identity", [tensor(values.astype(np.float64), kind="FP64")]))
        fails("429", lambda: client.infer("overloaded", [tensor(values)]))
        for kind in ("gzip", "deflate"):
            result = client.infer("large", [tensor(large)], request_compression_algorithm=kind,
                                  response_compression_algorithm=kind)
            assert np.array_equal(result.as_numpy("y"), large), kind
        print("all fine")
        """#

    @Test("tritonclient from PyPI works as it is")
    func client() async throws {
        let python = try #require(ProcessInfo.processInfo.environment["TESSERA_PYTHON"])
        try await APIHarness.run { (api: APIHarness) async throws in
            let port = try #require(api.client.port)
            let (status, output) = try await Self.run(
                python, ["-c", Self.script, "\(port)"])
            #expect(status == 0, "\(output)")
            #expect(output.contains("all fine"), "\(output)")
        }
    }

    private static let both = #"""
        import sys
        import grpc
        import ml_dtypes
        import numpy as np
        import tritonclient.grpc
        import tritonclient.http
        from tritonclient.grpc import service_pb2, service_pb2_grpc

        http, rpc = sys.argv[1], sys.argv[2]
        types = {"boolean": ("BOOL", bool), "float16": ("FP16", np.float16),
                 "bfloat16": ("BF16", ml_dtypes.bfloat16), "float32": ("FP32", np.float32),
                 "float64": ("FP64", np.float64)}
        for bits in (8, 16, 32, 64):
            for sign in ("int", "uint"):
                name = f"{sign}{bits}"
                types[name] = (name.upper(), np.dtype(name).type)
        for module, url, options in (
                (tritonclient.http, http, [{"binary_data": True}, {"binary_data": False}]),
                (tritonclient.grpc, rpc, [{}])):
            client = module.InferenceServerClient(url)
            inputs, values = [], {}
            for name, (kind, dtype) in types.items():
                value = np.array([[1, 0]], dtype=dtype)
                if name not in ("boolean",) and not name.startswith("uint"):
                    value = np.array([[-3, 2.5]]).astype(dtype)
                values[name] = value
                one = module.InferInput("in-" + name, [1, 2], kind)
                one.set_data_from_numpy(value)
                inputs.append(one)
            for option in options:
                wanted = [module.InferRequestedOutput("out-" + name, **option)
                          for name in reversed(types)]
                result = client.infer("mixed", inputs, outputs=wanted, request_id="all")
                for name, (kind, dtype) in types.items():
                    if name == "bfloat16" and option.get("binary_data") is False:
                        continue  # The client reads BF16 from binary data only.
                    got = result.as_numpy("out-" + name)
                    assert got is not None and got.shape == (1, 2), (name, option)
                    assert np.array_equal(got.astype(dtype), values[name]), (name, got)
            client.close()

        channel = grpc.insecure_channel(rpc)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelInferRequest(model_name="overloaded")
        tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        tensor.contents.fp32_contents.extend([1, 2, 3, 4])
        try:
            stub.ModelInfer(request)
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            assert ("retry-after", "3") in error.trailing_metadata(), error.trailing_metadata()
        request.model_name = "identity"
        answer = stub.ModelInfer(request)
        assert list(np.frombuffer(answer.raw_output_contents[0], np.float32)) == [1, 2, 3, 4]
        request.model_name = "slow"
        call = stub.ModelInfer.future(request)
        assert call.cancel()
        try:
            stub.ModelInfer(request, timeout=0.3)
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
        try:
            stub.ModelStatistics(service_pb2.ModelStatisticsRequest())
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        print("all fine")
        """#

    @Test("every type goes through HTTP and gRPC with Triton's clients, and errors say when")
    func both() async throws {
        let python = try #require(ProcessInfo.processInfo.environment["TESSERA_PYTHON"])
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            let port = try #require(api.ports.grpc)
            let (status, output) = try await Self.run(
                python,
                ["-c", Self.both, "localhost:\(api.ports.http)", "localhost:\(port)"])
            #expect(status == 0, "\(output)")
            #expect(output.contains("all fine"), "\(output)")
        }
    }

    private static func run(
        _ program: String, _ arguments: [String]
    ) async throws -> (Int32, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        return await withCheckedContinuation { continuation in
            // On a thread of its own, because it blocks.
            DispatchQueue.global().async {
                let output = pipe.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                continuation.resume(
                    returning: (process.terminationStatus, String(decoding: output, as: UTF8.self)))
            }
        }
    }
}
