import TesseraCore
import Testing

@testable import tessera

/// A small topology; tests change a part of it.
private let mesh = """
    nodes:
      - name: board
        count: 2
        threads: 4
        memory_bytes: 3221225472
        operations_per_second: 2.4e10
        moved_bytes_per_second: 3.0e9
        watts: 6.4
      - name: hub
        threads: 16
        memory_bytes: 17179869184
        operations_per_second: 8.0e11
        moved_bytes_per_second: 4.0e10
    links:
      default: {bits_per_second: 1.0e9, latency_seconds: 0.0002}
      pairs:
        - {a: board, b: hub, bits_per_second: 5.0e6, latency_seconds: 0.001}
    entry: hub

    """

@Suite struct TopologyTests {
    private func topology(_ text: String) throws -> Topology {
        try Topology(DocumentField.document(text, file: "mesh.yaml"))
    }

    private func message(_ text: String) -> String {
        do {
            _ = try topology(text)
            return "no error"
        } catch let failure as CommandFailure {
            #expect(failure.code == .failed)
            return failure.message
        } catch {
            return "another error: \(error)"
        }
    }

    @Test("groups become nodes, and pairs hold both ways between all of two groups")
    func whole() throws {
        let topology = try topology(mesh)
        #expect(topology.nodes.map(\.name) == ["board-1", "board-2", "hub"])
        #expect(topology.nodes.map(\.milliwatts) == [6_400, 6_400, nil])
        #expect(topology.nodes[0].capability.operationsPerMicrosecond == 24_000)
        #expect(topology.entry == 2)
        let usual = PlanSpace.Link(bitsPerSecond: 1_000_000_000, latencyNanoseconds: 200_000)
        let slow = PlanSpace.Link(bitsPerSecond: 5_000_000, latencyNanoseconds: 1_000_000)
        let expected = [usual, usual, slow, usual, usual, slow, slow, slow, usual]
        #expect(topology.links.links == expected)
        #expect(topology.links.mediumBitsPerSecond == nil)
    }

    @Test("a pair the other way round gives that way its own figures")
    func oneWay() throws {
        let back = """
                    - {a: board, b: hub, bits_per_second: 5.0e6, latency_seconds: 0.001}
                    - {a: hub, b: board, bits_per_second: 9.0e6, latency_seconds: 0}
            """
        let pair = "    - {a: board, b: hub, bits_per_second: 5.0e6, latency_seconds: 0.001}"
        let text = mesh.replacing(pair, with: back.replacing("            - ", with: "    - "))
        let links = try topology(text).links.links
        #expect(links[2].bitsPerSecond == 5_000_000)
        #expect(links[6].bitsPerSecond == 9_000_000)
    }

    @Test(
        "what is wrong is named with its file, line and field",
        arguments: [
            ("threads: 4", "thread: 4", "line 4", "nodes[0].thread", "not known"),
            ("count: 2", "count: -2", "line 3", "nodes[0].count", "from 1 to 32"),
            ("count: 2", "count: 33", "line 3", "nodes[0].count", "from 1 to 32"),
            ("count: 2", "count: '2'", "line 3", "nodes[0].count", "whole number"),
            ("count: 2", "count: 1.5", "line 3", "nodes[0].count", "whole number"),
            ("threads: 16", "threads: many", "line 10", "nodes[1].threads", "'many'"),
            (
                "memory_bytes: 3221225472", "memory_bytes: -1", "line 5", "nodes[0].memory_bytes",
                "whole number of bytes"
            ),
            (
                "operations_per_second: 2.4e10", "operations_per_second: .nan", "line 6",
                "nodes[0].operations_per_second", "a number of operations per second"
            ),
            ("watts: 6.4", "watts: -6.4", "line 8", "nodes[0].watts", "a number of watts"),
            ("name: hub", "name: board", "line 9", "nodes[1].name", "called 'board'"),
            ("name: hub", "name: board-2", "line 9", "nodes[1].name", "called 'board-2'"),
            ("name: hub", "name: 12", "line 9", "nodes[1].name", "a text"),
            ("name: hub", "nam: hub", "line 9", "nodes[1].nam", "not known"),
            ("b: hub", "b: hob", "line 17", "links.pairs[0].b", "no node is called 'hob'"),
            ("a: board", "a: hub", "line 17", "links.pairs[0].b", "no link to itself"),
            ("bits_per_second: 5.0e6", "bits_per_second: 0", "line 17", "bits_per_second", "from"),
            ("latency_seconds: 0.001", "latency_seconds: -1", "line 17", "latency", "seconds"),
            ("latency_seconds: 0.001", "x: 1", "line 17", "links.pairs[0].x", "not known"),
            ("entry: hub", "entry: boards", "line 18", "entry", "no node is called 'boards'"),
            ("entry: hub", "entry: [hub]", "line 18", "entry", "here is a list"),
            ("entry: hub", "exit: hub", "line 18", "exit", "not known"),
            ("entry: hub", "links: {}", "line 14", "", "given twice: 'links'"),
            ("links:", "wires:", "line 14", "wires", "not known"),
            ("- name: hub", "- name: \"hub", "line", "", "mesh.yaml"),
        ] as [(String, String, String, String, String)])
    func wrong(part: String, other: String, line: String, field: String, reason: String) {
        let text = mesh.replacing(part, with: other, maxReplacements: 1)
        let message = message(text)
        #expect(message.hasPrefix("mesh.yaml, "))
        #expect(message.contains("\(line), ") || line == "line", "\(message)")
        #expect(message.contains(field), "\(message)")
        #expect(message.contains(reason), "\(message)")
    }

    @Test(
        "a document of another shape is refused",
        arguments: ["", "[]", "nodes", "nodes: []", "{nodes: [], links: {}}", "null", "nodes: {}"])
    func shape(text: String) {
        #expect(message(text).hasPrefix("mesh.yaml, line 1"))
    }

    @Test("more nodes than are planned are refused")
    func many() {
        let text = mesh.replacing("count: 2", with: "count: 32")
        #expect(message(text).contains("33 nodes; at most 32"))
    }
}
