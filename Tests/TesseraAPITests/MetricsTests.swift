import Hummingbird
import HummingbirdTesting
import TesseraCore
import Testing

@testable import TesseraAPI

@Suite("Metrics")
struct MetricsTests {
    @Test("families have their help, their type and their samples, with labels escaped")
    func rendering() {
        let text = MetricText.render([
            MetricFamily(
                .gauge, "a_bytes", "back\\slash and\nline",
                [MetricSample(3, [.init("x", "q\"uo\\te\n"), .init("y", "ü")]), MetricSample(0.5)]),
            MetricFamily(.counter, "nothing_total", "Left out.", []),
            MetricFamily(.counter, "b_total", "Second.", 7),
        ])
        #expect(
            text == """
                # HELP a_bytes back\\\\slash and\\nline
                # TYPE a_bytes gauge
                a_bytes{x="q\\"uo\\\\te\\n",y="ü"} 3
                a_bytes 0.5
                # HELP b_total Second.
                # TYPE b_total counter
                b_total 7

                """)
    }

    @Test("a line end of two characters is escaped too")
    func carriageReturn() {
        #expect(MetricText.escaped(value: "a\r\nb") == "a\r\\nb")
        #expect(MetricText.escaped(help: "\"a\"\r\nb") == "\"a\"\r\\nb")
    }

    @Test(
        "numbers are as the format has them",
        arguments: [
            (0.0, "0"), (-3, "-3"), (1e15, "1000000000000000"), (0.001, "0.001"), (1e300, "1e+300"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ])
    func numbers(value: Double, text: String) {
        #expect(MetricText.number(value) == text)
    }

    @Test("the histogram counts answers by upper bounds, and everything by outcome")
    func histogram() throws {
        let metrics = RequestMetrics()
        metrics.note(.answered, model: "m", after: .milliseconds(1))
        metrics.note(.answered, model: "m", after: .milliseconds(40))
        metrics.note(.answered, model: "m", after: .seconds(31))
        metrics.note(.failed, model: "m", after: .seconds(2))
        let text = MetricText.render(metrics.families)
        for line in [
            "tessera_requests_total{model=\"m\",outcome=\"answered\"} 3",
            "tessera_requests_total{model=\"m\",outcome=\"failed\"} 1",
            "tessera_request_duration_seconds_bucket{model=\"m\",le=\"0.001\"} 1",
            "tessera_request_duration_seconds_bucket{model=\"m\",le=\"0.025\"} 1",
            "tessera_request_duration_seconds_bucket{model=\"m\",le=\"0.05\"} 2",
            "tessera_request_duration_seconds_bucket{model=\"m\",le=\"30\"} 2",
            "tessera_request_duration_seconds_bucket{model=\"m\",le=\"+Inf\"} 3",
            "tessera_request_duration_seconds_count{model=\"m\"} 3",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }

    @Test("beyond the limit all further models are one")
    func modelsAreBounded() {
        let metrics = RequestMetrics()
        for number in 0..<(RequestMetrics.modelsMax + 10) {
            metrics.note(.answered, model: "model-\(number)", after: .zero)
        }
        #expect(metrics.figures.count == RequestMetrics.modelsMax + 1)
        let other = metrics.figures.first { $0.model == RequestMetrics.otherModel }
        #expect(other?.figures.outcomes.first == 10)
    }

    @Test("each family has a name of its own, and counters end as counters do")
    func names() {
        var metrics = AgentMetrics(
            release: "1", wireProtocol: 1, name: "n", mesh: "m", engine: "e", uptimeSeconds: 1,
            isReady: true)
        metrics.transport = [.init("slices_sent", 1)]
        metrics.process = .init(residentBytes: 1, descriptors: 2, processorSeconds: 3)
        let families = metrics.families + RequestMetrics().families
        #expect(Set(families.map(\.name)).count == families.count)
        for family in families {
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            #expect(!family.help.isEmpty)
        }
    }

    @Test("energy is shown where it is known, in joules and watts, and not otherwise")
    func energy() {
        var metrics = AgentMetrics(
            release: "1", wireProtocol: 1, name: "n", mesh: "m", engine: "e", uptimeSeconds: 1,
            isReady: true)
        func model(_ name: String, joules: Double?) -> AgentMetrics.Model {
            var model = AgentMetrics.Model(
                name: name, isReady: true, weightBytes: 1, copies: 1, nodes: 1, plansDecided: 1,
                periodSeconds: 1, latencySeconds: 1)
            model.joulesPerItem = joules
            return model
        }
        metrics.models = [model("dark", joules: nil)]
        let none = MetricText.render(metrics.families)
        #expect(!none.contains("joules") && !none.contains("watts"))
        metrics.models.append(model("lit", joules: 0.25))
        metrics.energy = .init(
            powerWatts: 6.4, zones: [.init(name: "package-0", joules: 12.5)])
        let text = MetricText.render(metrics.families)
        for line in [
            "tessera_node_power_watts 6.4",
            "tessera_plan_predicted_energy_joules{model=\"lit\"} 0.25",
            "tessera_processor_energy_joules_total{zone=\"package-0\"} 12.5",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
        #expect(!text.contains("energy_joules{model=\"dark\"}"))
    }

    @Test("an agent answers at /metrics, and counts what it answered and refused")
    func overHTTP() async throws {
        var configuration = APIHarness.configuration()
        configuration.inferenceBytesMax = 300
        try await APIHarness.run(configuration) { api in
            let body = """
                {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4],
                "data": [1, 2, 3, 4]}]}
                """
            #expect(try await api.infer(body).status == .ok)
            #expect(try await api.infer(body, model: "refused").status == .badRequest)
            let long = body + String(repeating: " ", count: 300)
            #expect(try await api.infer(long).status == .contentTooLarge)
            let response = try await api.send(.get, "/metrics")
            #expect(response.status == .ok)
            #expect(
                response.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            for line in [
                "tessera_requests_total{model=\"identity\",outcome=\"answered\"} 1",
                "tessera_requests_total{model=\"refused\",outcome=\"refused\"} 1",
                "tessera_request_duration_seconds_count{model=\"identity\"} 1",
                "tessera_api_limit_reached_total{limit=\"body_bytes\"} 1",
                "tessera_agent_info{name=\"here\",mesh=\"ho\\\"me\"} 1",
                "tessera_link_sent_bytes_total{peer=\"there\\\\\\n\",node=\"01\"} 3",
                "tessera_members{state=\"alive\"} 2",
            ] {
                #expect(response.text.contains(line + "\n"), "\(line)")
            }
            #expect(try await api.send(.head, "/metrics").status == .ok)
            #expect(try await api.send(.post, "/metrics").status == .methodNotAllowed)
        }
    }

    @Test("beyond loopback metrics need a token that may read")
    func token() async throws {
        var configuration = APIHarness.configuration()
        configuration.anonymousRight = nil
        try await APIHarness.run(configuration) { api in
            #expect(try await api.send(.get, "/metrics").status == .unauthorized)
            let response = try await api.send(
                .get, "/metrics", headers: [.authorization: "Bearer \(APIHarness.readToken)"])
            #expect(response.status == .ok)
        }
    }
}
