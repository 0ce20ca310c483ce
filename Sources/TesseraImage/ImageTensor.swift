public import TesseraCore

extension ImageInput {
    /// The bytes of a model's input for an image: resized, in the channels' order and layout, less
    /// the mean, divided by the scale.
    ///
    /// `fault(inputs:outputs:)` has found nothing wrong with the input.
    public func tensor(of image: DecodedImage, for input: TensorDescriptor) -> [UInt8] {
        guard let (width, height) = size(of: input.shape) else {
            fatalError("an image for an input of shape \(input.shape)")
        }
        let source = channels == .grey ? image.grey() : image
        let small = source.resized(
            width: width, height: height,
            box: fit == .crop ? source.middle(width: width, height: height) : nil)
        let order = channels == .bgr ? [2, 1, 0] : Array(0..<channels.count)
        let area = width * height
        let elementBytes = input.type == .uint8 ? 1 : 4
        return [UInt8](unsafeUninitializedCapacity: area * order.count * elementBytes) {
            buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for (channel, from) in order.enumerated() {
                let (mean, scale) = (mean[channel], scale[channel])
                for pixel in 0..<area {
                    let value = small.pixels[pixel * order.count + from]
                    let place =
                        layout == .nchw ? channel * area + pixel : pixel * order.count + channel
                    if elementBytes == 1 {
                        raw[place] = value
                    } else {
                        let bits = ((Float(value) - mean) / scale).bitPattern.littleEndian
                        raw.storeBytes(of: bits, toByteOffset: place * 4, as: UInt32.self)
                    }
                }
            }
            count = area * order.count * elementBytes
        }
    }

    /// The likeliest classes by a model's output, the likeliest first; equal ones by number.
    ///
    /// The output's bytes are those of 32-bit floats.
    public func classes(of output: some Sequence<UInt8>, atMost count: Int) -> [ImageClass] {
        let bytes = Array(output)
        let values = stride(from: 0, to: bytes.count - bytes.count % 4, by: 4).map { at in
            var bits: UInt32 = 0
            for index in (at..<(at + 4)).reversed() { bits = bits << 8 | UInt32(bytes[index]) }
            return Double(Float(bitPattern: bits))
        }
        let shares: [Double]
        switch scores {
        case .probabilities: shares = values
        case .logits:
            let most = values.max() ?? 0
            let powers = values.map { Self.exponential($0 - most) }
            let sum = powers.reduce(0, +)
            shares = powers.map { $0 / sum }
        }
        let ranked = shares.indices.sorted { left, right in
            shares[left] == shares[right] ? left < right : shares[left] > shares[right]
        }
        return ranked.prefix(count).map { index in
            ImageClass(
                index: index, label: labels.indices.contains(index) ? labels[index] : nil,
                probability: shares[index])
        }
    }
}

/// One class that a model sees in an image.
public struct ImageClass: Hashable, Sendable {
    /// Its place in the output.
    public var index: Int
    /// Its name, if it has one.
    public var label: String?
    /// How likely it is, from 0 to 1.
    public var probability: Double
}
