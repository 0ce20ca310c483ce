import InferenceProtocol
import NIOCore
import SwiftProtobuf
import TesseraCore

@testable import TesseraAPI

/// Bodies of calls.
enum CallParsers {
    /// A model with an input of each type, of a scalar, and outputs.
    private static let model = ModelInformation(
        name: "m", manifest: ManifestID(1, 2, 3, 4),
        inputs: ElementType.allCases.map {
            TensorDescriptor(name: "x\($0.rawValue)", type: $0, shape: [2])
        },
        outputs: [TensorDescriptor(name: "y", type: .float32, shape: [1])],
        weightBytes: 0, readiness: .ready)
    /// One with a batch axis and one input, which chance finds.
    private static let small = ModelInformation(
        name: "s", manifest: ManifestID(1, 2, 3, 4),
        inputs: [TensorDescriptor(name: "x", type: .float32, shape: [1, 4])],
        outputs: [TensorDescriptor(name: "y", type: .float32, shape: [1])],
        weightBytes: 0, readiness: .ready)

    /// First two bytes: how many of the rest are JSON; 0xFFFF means all, without binary data.
    static func tensors(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return }
        let length = Int(bytes[0]) << 8 | Int(bytes[1])
        let body = ByteBuffer(bytes: bytes.dropFirst(2))
        for model in [small, model] {
            let call = attempt {
                try InferenceCallReader(model).read(
                    body, headerLength: length == 0xFFFF ? nil : length)
            }
            check(call, model)
        }
        // The values alone: what is written of them is read again.
        guard let type = ElementType(rawValue: UInt8(length % ElementType.allCases.count) + 1)
        else {
            return
        }
        let text = bytes.dropFirst(2)
        for count in [1, 2, 4] {
            guard let values = attempt({ try TensorText.read(text, type: type, count: count) })
            else { continue }
            let tensor = InferenceTensor(
                descriptor: TensorDescriptor(name: "x", type: type, shape: [count]), bytes: values)
            guard let written = attempt({ try TensorText.write(tensor) }) else {
                fatalError("fuzz: values that were read cannot be written")
            }
            let again = attempt { try TensorText.read(written[...], type: type, count: count) }
            require(again == values, "values of \(type) do not survive")
        }
    }

    private static func check(_ call: InferenceCall?, _ model: ModelInformation) {
        guard let call else { return }
        require(
            (1...InferenceCall.itemsMax).contains(call.items.count), "a call has too many items")
        for item in call.items {
            require(item.count == model.inputs.count, "an item lacks a tensor")
            for (tensor, input) in zip(item, model.inputs) {
                require(tensor.descriptor.type == input.type, "a tensor has another type")
                let count = input.shape.reduce(1, *) * input.type.byteCount
                require(
                    tensor.bytes.readableBytes == count, "a tensor has other bytes than its shape")
            }
        }
    }

    static func grpc(_ bytes: [UInt8]) {
        let read = attempt { try Inference_ModelInferRequest(serializedBytes: bytes) }
        guard let message = read, let draft = attempt({ try message.draft() }) else { return }
        for model in [small, model] {
            check(attempt { try InferenceCallChecker(model).check(draft) }, model)
        }
    }

    static func json(_ bytes: [UInt8]) {
        guard let value = attempt({ try JSONReader.read(bytes) }) else { return }
        var buffer = ByteBuffer()
        buffer.writeJSON(value)
        let again = attempt { try JSONReader.read(Array(buffer.readableBytesView)) }
        require(again == value, "a JSON value does not survive")
        _ = attempt { try ModelSettingsDocument(json: value).settings() }
    }

    /// First byte: the coding (bit 0), and the size of the pieces in which the rest arrives.
    static func inflate(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let coding: ContentCoding = first & 1 == 0 ? .gzip : .deflate
        guard let inflater = attempt({ try coding.inflater() }) ?? nil else { return }
        let limit = 1 << 20
        var result = ByteBuffer()
        var rest = bytes.dropFirst()
        var taken = 0
        _ = attempt {
            while !rest.isEmpty {
                let part = ByteBuffer(bytes: rest.prefix(1 + Int(first >> 1)))
                rest = rest.dropFirst(1 + Int(first >> 1))
                try inflater.inflate(part, into: &result, limit: limit) { taken += $0 }
                require(result.readableBytes <= limit, "more was inflated than is allowed")
                require(taken == result.readableBytes, "inflated bytes were not counted")
            }
            try inflater.finish()
        }
    }
}
