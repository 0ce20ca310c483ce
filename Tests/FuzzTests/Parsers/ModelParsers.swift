import TesseraCore
import TesseraImage

@testable import TesseraModel

/// Models and images.
enum ModelParsers {
    /// The graph's constants lie in so many bytes of weights.
    private static let weightBytes = 1 << 20
    /// Fragments of a model that are written; each takes as long as reading it.
    private static let fragmentsMax = 4

    static func ir(_ bytes: [UInt8]) {
        let read = attempt { try IRReader.read(xml: bytes, weightByteCount: weightBytes) }
        guard var graph = read else { return }
        for index in graph.layers.indices {
            guard case .range(_, let byteCount) = graph.layers[index].constant else { continue }
            // The weights do not matter here: all are 0, or stand in a blob.
            guard byteCount <= ModelLimits.inlineBytesMax else { return }
            graph.layers[index].constant = .inline([UInt8](repeating: 0, count: byteCount))
        }
        guard let manifest = attempt({ try Manifest(graph: graph, blobs: []) }) else { return }
        check(manifest)
    }

    static func manifest(_ bytes: [UInt8]) {
        guard let manifest = attempt({ try Manifest(encoded: bytes) }) else { return }
        check(manifest)
    }

    /// What a peer that got the manifest does with it.
    private static func check(_ manifest: Manifest) {
        let again = attempt {
            try Manifest(graph: manifest.graph, blobs: manifest.blobs, image: manifest.image)
        }
        require(again == manifest, "a manifest does not give the bytes that it was read from")
        guard let cutter = attempt({ try ModelCutter(manifest) }) else { return }
        let count = cutter.outline.operators.count
        for operators in [0..<count, 0..<count / 2, count / 2..<count, count - 1..<count]
            .prefix(fragmentsMax) where !operators.isEmpty && operators.lowerBound >= 0
        {
            _ = attempt { try cutter.fragment(operators: operators) }
            _ = attempt { try cutter.fragment(operators: operators, rows: 0..<1) }
        }
    }

    // MARK: Images

    /// Larger ones only take longer.
    private static let pixelsMax = 1 << 18

    static func image(_ bytes: [UInt8]) {
        guard let size = attempt({ try DecodedImage.size(of: bytes) }),
            size.width * size.height <= pixelsMax
        else { return }
        guard let image = attempt({ try DecodedImage(file: bytes) }) else { return }
        require(
            (image.width, image.height) == size || (image.height, image.width) == size,
            "an image changed its size")
        require(
            image.pixels.count == image.width * image.height * image.channels,
            "an image has other bytes than its size says")
    }
}
