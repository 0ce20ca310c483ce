import TesseraCore
import TesseraEngine

/// A model of one operator, to see whether the engine of this machine computes rightly.
enum TinyModel {
    private static let inputs: [Float] = [-1, 0, 2, -3.5]
    private static let outputs: [Float] = [0, 0, 2, 0]

    /// Compiles it and runs it once; gives what the engine calls itself.
    ///
    /// Blocks until it is done.
    static func run() throws -> String {
        let engine = try Engine(threads: 1)
        let weights = try WeightBuffer(byteCount: 0)
        let fragment = try engine.compile(
            FragmentSource(xml: Array(text.utf8), weights: weights), concurrency: 1)
        var result = [Float](repeating: .nan, count: outputs.count)
        try inputs.withUnsafeBytes { input in
            try result.withUnsafeMutableBytes { output in
                try fragment.run(inputs: [input], outputs: [output])
            }
        }
        guard result == outputs else { throw WrongResult(values: result) }
        return engine.fingerprint.text
    }

    /// The engine computed something else.
    struct WrongResult: Error, CustomStringConvertible {
        /// What it computed.
        var values: [Float]

        var description: String { "a model of one operator gave \(values), not \(outputs)" }
    }

    private static let shape = "<dim>1</dim><dim>4</dim>"

    /// `max(x, 0)` of four numbers, in OpenVINO's IR.
    private static let text = """
        <?xml version="1.0"?>
        <net name="tiny" version="11"><layers>
        <layer id="0" name="x" type="Parameter" version="opset1">\
        <data element_type="f32" shape="1,4"/>\
        <output><port id="0" precision="FP32">\(shape)</port></output></layer>
        <layer id="1" name="y" type="ReLU" version="opset1">\
        <input><port id="0" precision="FP32">\(shape)</port></input>\
        <output><port id="1" precision="FP32">\(shape)</port></output></layer>
        <layer id="2" name="z" type="Result" version="opset1">\
        <input><port id="0" precision="FP32">\(shape)</port></input></layer>
        </layers><edges>
        <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
        <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
        </edges></net>
        """
}
