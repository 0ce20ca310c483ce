import TesseraCore

/// The bytes of a manifest.
///
///     manifest  = "TSRM" version blobs layers
///     blobs     = count { hash(32) byteCount }
///     layers    = count { type opset name attributes inputs outputs [constant] }
///     attributes= count { name value }
///     inputs    = count { layer port }
///     outputs   = count { precision(1) rank { extent } }
///     constant  = 0 blobIndex | 1 count bytes           only for type "Const"
///
/// A manifest that says how an image becomes the input has the version 2, and after the layers:
///
///     image     = channels(1) layout(1) fit(1) scores(1) means scales labels
///     means, scales = { bits(4) }                        one for each channel
///     labels    = count { label }
///
/// Numbers are unsigned LEB128 of the least length, texts are UTF-8 behind their length. There is
/// exactly one encoding of a manifest: attributes ascend, blobs stand in the order of first use,
/// and a constant is inline exactly if it has at most `ModelLimits.inlineBytesMax` bytes.
enum ManifestEncoding {
    /// The version of this encoding and of the grouping and ordering rules.
    static let version: UInt8 = 1
    /// The version of those that say how an image becomes the input, under the same rules.
    static let imageVersion: UInt8 = 2
    private static let magic = Array("TSRM".utf8)

    // MARK: Writing

    static func encode(
        _ graph: ModelGraph, _ blobs: [ModelOutline.Blob], _ image: ImageInput?
    ) -> [UInt8] {
        var writer = ManifestWriter()
        writer.bytes = magic + [image == nil ? version : imageVersion]
        writer.number(blobs.count)
        for blob in blobs {
            writer.bytes.append(contentsOf: blob.id.bytes)
            writer.number(blob.byteCount)
        }
        writer.number(graph.layers.count)
        for layer in graph.layers { encode(layer, &writer) }
        if let image { image.write(to: &writer) }
        return writer.bytes
    }

    private static func encode(_ layer: ModelGraph.Layer, _ writer: inout ManifestWriter) {
        writer.text(layer.type)
        writer.number(layer.opset)
        writer.text(layer.name)
        writer.number(layer.attributes.count)
        for attribute in layer.attributes {
            writer.text(attribute.name)
            writer.text(attribute.value)
        }
        writer.number(layer.inputs.count)
        for source in layer.inputs {
            writer.number(source.layer)
            writer.number(source.port)
        }
        writer.number(layer.outputs.count)
        for port in layer.outputs {
            writer.bytes.append(port.precision.rawValue)
            writer.number(port.shape.count)
            for extent in port.shape { writer.number(extent) }
        }
        switch layer.constant {
        case .blob(let index):
            writer.bytes.append(0)
            writer.number(index)
        case .inline(let bytes):
            writer.bytes.append(1)
            writer.number(bytes.count)
            writer.bytes.append(contentsOf: bytes)
        case .range, nil:
            // Ranges of a weights file have no place in a manifest: reading it back will refuse
            // a constant without bytes.
            break
        }
    }

    // MARK: Reading

    static func decode(
        _ bytes: [UInt8]
    ) throws(ModelError) -> (ModelGraph, [ModelOutline.Blob], ImageInput?) {
        var reader = ManifestReader(bytes)
        guard try reader.take(magic.count).elementsEqual(magic) else {
            throw reader.fail("it does not begin as manifests do")
        }
        let found = try reader.byte()
        guard found == version || found == imageVersion else {
            throw reader.fail(
                "its version is \(found), and this build reads \(version) and \(imageVersion)")
        }
        var blobs: [ModelOutline.Blob] = []
        for _ in 0..<(try reader.count(ModelLimits.layersMax, "blobs")) {
            guard let id = BlobID(bytes: try reader.take(32)) else {
                throw reader.fail("a hash is cut off")
            }
            blobs.append(
                .init(id: id, byteCount: try reader.count(ModelLimits.elementsMax, "blob bytes")))
        }
        guard Set(blobs.map(\.id)).count == blobs.count else {
            throw reader.fail("a blob is listed twice")
        }
        var layers: [ModelGraph.Layer] = []
        var blobsUsed = 0
        for _ in 0..<(try reader.count(ModelLimits.layersMax, "layers")) {
            layers.append(try layer(&reader, blobs, &blobsUsed))
        }
        let image = found == imageVersion ? try ImageInput(from: &reader) : nil
        guard reader.isAtEnd else { throw reader.fail("bytes follow the end") }
        guard blobsUsed == blobs.count else { throw reader.fail("a blob is not used") }
        let graph = ModelGraph(layers: layers)
        try GraphRules.check(graph)
        return (graph, blobs, image)
    }

    private static func layer(
        _ reader: inout ManifestReader, _ blobs: [ModelOutline.Blob], _ blobsUsed: inout Int
    ) throws(ModelError) -> ModelGraph.Layer {
        let type = try reader.text(100)
        let opset = try reader.count(1000, "operator sets")
        let name = try reader.text(ModelLimits.nameBytesMax)
        var result = ModelGraph.Layer(
            name: name, type: type, opset: opset, inputs: [], outputs: [])
        for _ in 0..<(try reader.count(ModelLimits.xmlAttributesMax, "attributes")) {
            result.attributes.append(
                .init(
                    name: try reader.text(100),
                    value: try reader.text(ModelLimits.attributeBytesMax)))
        }
        for _ in 0..<(try reader.count(ModelLimits.portsPerLayerMax, "inputs of one layer")) {
            result.inputs.append(
                .init(
                    layer: try reader.count(ModelLimits.layersMax, "layers"),
                    port: try reader.count(ModelLimits.portsPerLayerMax, "ports")))
        }
        for _ in 0..<(try reader.count(ModelLimits.portsPerLayerMax, "outputs of one layer")) {
            result.outputs.append(try port(&reader, layer: name))
        }
        if result.isConstant {
            guard let port = result.outputs.first else {
                throw reader.fail("a constant has no output")
            }
            result.constant = try constant(
                &reader, byteCount: port.byteCount, blobs, &blobsUsed)
        }
        return result
    }

    private static func port(
        _ reader: inout ManifestReader, layer: String
    ) throws(ModelError) -> ModelGraph.Port {
        guard let precision = Precision(rawValue: try reader.byte()) else {
            throw reader.fail("an element type is unknown")
        }
        var shape: [Int] = []
        for _ in 0..<(try reader.count(ModelLimits.rankMax, "axes of a tensor")) {
            shape.append(try reader.count(ModelLimits.elementsMax, "elements along an axis"))
        }
        let port = ModelGraph.Port(precision: precision, shape: shape)
        try GraphRules.checkSize(port, layer: layer)
        return port
    }

    private static func constant(
        _ reader: inout ManifestReader, byteCount: Int, _ blobs: [ModelOutline.Blob],
        _ blobsUsed: inout Int
    ) throws(ModelError) -> ModelGraph.Constant {
        let isInline = byteCount <= ModelLimits.inlineBytesMax
        switch try reader.byte() {
        case 0 where !isInline:
            let index = try reader.count(ModelLimits.layersMax, "blobs")
            guard index <= blobsUsed, index < blobs.count else {
                throw reader.fail("blobs are not in the order of their first use")
            }
            blobsUsed = max(blobsUsed, index + 1)
            guard blobs[index].byteCount == byteCount else {
                throw reader.fail("a blob has not the size of its constant")
            }
            return .blob(index)
        case 1 where isInline:
            guard try reader.count(ModelLimits.inlineBytesMax, "inline bytes") == byteCount else {
                throw reader.fail("inline bytes have not the size of their constant")
            }
            return .inline(Array(try reader.take(byteCount)))
        default: throw reader.fail("a constant is not where its size says")
        }
    }
}

/// Appends numbers and texts.
struct ManifestWriter {
    var bytes: [UInt8] = []

    /// Unsigned LEB128.
    ///
    /// A negative number becomes one that the reader refuses as too long.
    mutating func number(_ value: Int) {
        var rest = UInt64(bitPattern: Int64(value))
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func text(_ text: String) {
        number(text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }
}

/// Takes numbers and texts apart, never beyond the end.
struct ManifestReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    func fail(_ reason: String) -> ModelError {
        .invalidManifest(reason: reason, offset: position)
    }

    mutating func byte() throws(ModelError) -> UInt8 {
        guard position < bytes.count else { throw fail("it is cut off") }
        position += 1
        return bytes[position - 1]
    }

    mutating func take(_ count: Int) throws(ModelError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - position else { throw fail("it is cut off") }
        position += count
        return bytes[(position - count)..<position]
    }

    /// A number of at most `maximum`, in its shortest form.
    mutating func count(_ maximum: Int, _ what: String) throws(ModelError) -> Int {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 56 else { throw fail("a number is too long") }
            value |= UInt64(next & 0x7F) << shift
            shift += 7
            guard next < 0x80 else { continue }
            guard next != 0 || shift == 7 else { throw fail("a number is not in its short form") }
            break
        }
        try ModelLimits.check(Int(value), maximum, what)
        return Int(value)
    }

    /// UTF-8 text of at most `maximum` bytes.
    mutating func text(_ maximum: Int) throws(ModelError) -> String {
        let length = try count(maximum, "bytes of a text")
        guard let text = String(validating: try take(length), as: UTF8.self) else {
            throw fail("a text is not UTF-8")
        }
        return text
    }
}
