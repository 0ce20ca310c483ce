import Foundation
import HummingbirdTesting
import Testing

@testable import TesseraAPI

/// Triton's own HTTP client, as it is on PyPI, against the API.
///
/// `TESSERA_PYTHON` names an interpreter that has `tritonclient[http]`; without it the test is left
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
