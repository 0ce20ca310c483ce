import Foundation
import Testing

@testable import TesseraModel

@Suite("IR from files is read without trust")
struct IRReaderTests {
    @Test("What OpenVINO serialises is read", arguments: Fixture.names)
    func readsFixtures(name: String) throws {
        let fixture = try Fixture(name)
        let graph = try IRReader.read(
            xml: fixture.xml, weightByteCount: fixture.weights.count)
        let types = graph.layers.map(\.type)
        #expect(types.contains("Parameter") && types.contains("Result"))
        for (index, layer) in graph.layers.enumerated() {
            #expect(layer.inputs.allSatisfy { $0.layer < index })
        }
    }

    @Test("Inputs and outputs have the names that the user knows")
    func namesEnds() throws {
        let graph = try Fixture("several").manifest.graph
        let inputs = graph.layers.filter { $0.type == "Parameter" }.map(\.name)
        let outputs = graph.layers.filter { $0.type == "Result" }.map(\.name)
        #expect(inputs == ["b,c", "a<&>\"'", "idle"])
        #expect(outputs == ["sum", "total", "a", "far", "scalar", "values", "indices"])
    }

    @Test("A comma inside a tensor name is not a separator")
    func splitsNames() {
        #expect(IRParser.names("a\\,b,c") == ["a,b", "c"])
        #expect(IRParser.names("a\\b\\") == ["a\\b\\"])
        #expect(IRParser.names("") == [])
    }

    @Test("Every output is a tensor of its own that an operator makes")
    func separatesOutputs() throws {
        let graph = try Fixture("several").manifest.graph
        let sources = graph.layers.filter { $0.type == "Result" }.flatMap(\.inputs)
        #expect(Set(sources).count == sources.count)
        #expect(sources.allSatisfy { graph.layers[$0.layer].type != "Parameter" })
        #expect(graph.layers.filter { $0.type == "Convert" }.count == 2)
    }

    @Test("Layers of the text in any order are put in order; a cycle is refused")
    func ordersLayers() throws {
        let fixture = try Fixture("residual-cnn")
        let layers = fixture.text.components(separatedBy: "\t\t<layer ")
        let tail = layers[layers.count - 1].components(separatedBy: "\t</layers>")
        let last = tail[0]
        let middle = layers[1..<(layers.count - 1)].reversed()
        let mixed =
            layers[0] + ([last] + middle).map { "\t\t<layer " + $0 }.joined()
            + "\t</layers>" + tail[1]
        let graph = try IRReader.read(
            xml: Array(mixed.utf8), weightByteCount: fixture.weights.count)
        #expect(graph.layers.count == fixture.manifest.graph.layers.count)

        let edge = #"<edge from-layer="4" from-port="2" to-layer="5" to-port="0" />"#
        #expect(throws: ModelError.self) {
            try fixture.read(
                replacing: edge,
                with: #"<edge from-layer="8" from-port="2" to-layer="5" to-port="0" />"#)
        }
    }

    /// Edits of the residual CNN's text that must be refused, with what the error must say.
    static let hostileEdits: [(old: String, new: String, message: String)] = [
        ("<?xml version=\"1.0\"?>", "<?xml version=\"1.0\"?><!DOCTYPE net>", "document types"),
        ("<?xml version=\"1.0\"?>", "<!DOCTYPE x [<!ENTITY a \"b\">]>", "document types"),
        ("<?xml version=\"1.0\"?>", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>", "declaration"),
        ("<?xml version=\"1.0\"?>", "<?xml version=\"1.0\"?><!-- hi -->", "document types"),
        ("<layers>", "<layers><![CDATA[x]]>", "document types"),
        ("<layers>", "<layers><?run it?>", "document types"),
        ("<layers>", "<layers>text", "text stands"),
        ("<layers>", "<layers><other/>", "<other> is not expected"),
        ("name=\"image\"", "name=\"&image;\"", "not a character"),
        ("name=\"image\"", "name=\"&#0;\"", "not a character"),
        ("name=\"image\"", "name=\"a<b\"", "not allowed"),
        ("name=\"image\"", "name=\"a\" name=\"b\"", "given twice"),
        ("version=\"11\"", "version=\"10\"", "not 11"),
        ("</net>", "</net><net/>", "second root"),
        ("</net>", "</net>x", "outside the root"),
        ("</net>", "", "ends before"),
        ("</layers>", "</layer>", "closes no open"),
        ("type=\"MaxPool\"", "type=\"ReadValue\"", "state"),
        ("type=\"MaxPool\"", "type=\"Loop\"", "body"),
        ("type=\"MaxPool\"", "type=\"RandomUniform\"", "random"),
        ("type=\"MaxPool\"", "type=\"MyOwnThing\"", "operator sets"),
        ("version=\"opset8\"", "version=\"extension\"", "operator set 'extension'"),
        ("version=\"opset8\"", "version=\"opset15\"", "no version"),
        ("auto_pad=\"explicit\"", "library=\"/x.so\"", "unknown attribute"),
        ("<dim>32</dim>", "<dim>-1</dim>", "not fixed"),
        ("<dim>32</dim>", "<dim>?</dim>", "not fixed"),
        ("<dim>32</dim>", "<dim/>", "holds no number"),
        ("<dim>32</dim>", "<dim>1099511627776</dim>", "elements in one tensor"),
        ("<dim>32</dim>", "<dim>9223372036854775807</dim>", "elements in one tensor"),
        ("shape=\"1,3,32,32\"", "shape=\"1,3,32,31\"", "differ"),
        ("precision=\"FP32\"", "precision=\"STRING\"", "STRING"),
        ("element_type=\"f32\"", "element_type=\"f16\"", "f16"),
        ("offset=\"0\"", "offset=\"82000\"", "beyond"),
        ("offset=\"0\"", "offset=\"9223372036854775807\"", "beyond"),
        ("offset=\"0\"", "offset=\"-4\"", "not a number"),
        ("size=\"1728\"", "size=\"1729\"", "bytes, not"),
        ("layer id=\"1\"", "layer id=\"2\"", "twice"),
        ("from-layer=\"0\" from-port=\"0\"", "from-layer=\"999\" from-port=\"0\"", "not there"),
        ("from-layer=\"0\" from-port=\"0\"", "from-layer=\"0\" from-port=\"7\"", "not there"),
        ("to-layer=\"2\" to-port=\"0\"", "to-layer=\"2\" to-port=\"1\"", "an edge differ"),
        (
            "<edge from-layer=\"0\" from-port=\"0\" to-layer=\"2\" to-port=\"0\" />", "",
            "has no edge"
        ),
    ]

    @Test("A hostile edit is refused with its reason", arguments: hostileEdits.indices)
    func refusesHostileEdits(index: Int) throws {
        let edit = Self.hostileEdits[index]
        let fixture = try Fixture("residual-cnn")
        do {
            _ = try fixture.read(replacing: edit.old, with: edit.new)
            Issue.record("accepted: \(edit.new)")
        } catch let error as ModelError {
            #expect(error.description.contains(edit.message), "\(error)")
        }
    }

    @Test("An output that depends on no input is refused")
    func refusesConstantOutput() throws {
        #expect(throws: ModelError.constantOutput(name: "y")) {
            try IRReader.read(xml: Array(Self.constantOutput.utf8), weightByteCount: 4)
        }
    }

    private static let constantOutput = """
        <net version="11"><layers>
        <layer id="0" name="x" type="Parameter" version="opset1">
        <data shape="1" element_type="f32"/>
        <output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
        <layer id="1" name="y" type="Const" version="opset1">
        <data shape="1" element_type="f32" offset="0" size="4"/>
        <output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
        <layer id="2" name="r" type="Result" version="opset1">
        <input><port id="0" precision="FP32"><dim>1</dim></port></input></layer>
        </layers><edges>
        <edge from-layer="1" from-port="0" to-layer="2" to-port="0"/>
        </edges></net>
        """

    @Test("No cut and no single byte of the text makes the reader fail otherwise")
    func survivesCorruption() throws {
        let small = Array(Self.small.utf8)
        _ = try IRReader.read(xml: small, weightByteCount: 4)
        for length in 0..<(small.count - 1) {
            #expect(throws: ModelError.self) {
                try IRReader.read(xml: Array(small[..<length]), weightByteCount: 4)
            }
        }
        for position in small.indices {
            for value in [UInt8(0), 0x22, 0x26, 0x39, 0x3C, 0xFF, small[position] ^ 1] {
                var edited = small
                edited[position] = value
                // Many edits are harmless, such as another letter in a name; none may trap.
                _ = try? IRReader.read(xml: edited, weightByteCount: 4)
            }
        }
    }

    private static let small =
        constantOutput
        .replacingOccurrences(of: "<layer id=\"2\"", with: adding + "<layer id=\"2\"")
        .replacingOccurrences(
            of: "<edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\"", with: edges)
    private static let adding = """
        <layer id="3" name="s&amp;&#x41;" type="Add" version="opset1"><data auto_broadcast="numpy"/>
        <input><port id="0" precision="FP32"><dim>1</dim></port>
        <port id="1" precision="FP32"><dim>1</dim></port></input>
        <output><port id="2" precision="FP32" names="sum"><dim>1</dim></port></output></layer>
        """
    private static let edges = """
        <edge from-layer="0" from-port="0" to-layer="3" to-port="0"/>
        <edge from-layer="1" from-port="0" to-layer="3" to-port="1"/>
        <edge from-layer="3" from-port="2" to-layer="2"
        """

    @Test("Text beyond a limit is refused")
    func refusesTooMuch() throws {
        let deep = String(repeating: "<a>", count: 100)
        let start = "<net version=\"11\"><rt_info>"
        #expect(
            throws: ModelError.limit(
                what: "nested elements", value: ModelLimits.xmlDepthMax + 1,
                maximum: ModelLimits.xmlDepthMax)
        ) {
            try IRReader.read(xml: Array((start + deep).utf8), weightByteCount: 0)
        }
        let bytes = [UInt8](repeating: 0x20, count: ModelLimits.xmlBytesMax + 1)
        #expect(throws: ModelError.self) { try IRReader.read(xml: bytes, weightByteCount: 0) }
    }
}
