extension DecodedImage {
    /// A part of an image, in pixels that need not be whole.
    struct Box: Hashable {
        var left: Double
        var top: Double
        var right: Double
        var bottom: Double
    }

    /// The middle of the image, as much as has this aspect ratio.
    func middle(width other: Int, height otherHeight: Int) -> Box {
        let ratio = Double(other) / Double(otherHeight)
        let (wide, high) = (Double(width), Double(height))
        let (part, partHeight) = wide > high * ratio ? (high * ratio, high) : (wide, wide / ratio)
        return Box(
            left: (wide - part) / 2, top: (high - partHeight) / 2,
            right: (wide + part) / 2, bottom: (high + partHeight) / 2)
    }

    /// The image, or a part of it, at another size.
    ///
    /// Bilinear with a filter as wide as the reduction, first along rows, then along columns, in
    /// whole numbers of 22 fractional bits with rounding to bytes in between: bit for bit what
    /// Pillow's `resize` with `Resampling.BILINEAR` gives. Only of an image that gets wider and lower
    /// Pillow 13 does the columns first, which changes some values by one.
    func resized(width newWidth: Int, height newHeight: Int, box: Box? = nil) -> DecodedImage {
        let box =
            box ?? Box(left: 0, top: 0, right: Double(width), bottom: Double(height))
        let across = Weights(from: width, box.left, box.right, to: newWidth)
        let down = Weights(from: height, box.top, box.bottom, to: newHeight)
        // Only the rows that are looked at later.
        let first = down.spans.first?.first ?? 0
        let last = down.spans.last.map { $0.first + $0.count } ?? 0
        let rows = last - first
        let narrow = [UInt8](unsafeUninitializedCapacity: newWidth * rows * channels) {
            buffer, count in
            for row in 0..<rows {
                let line = (row + first) * width * channels
                for (column, span) in across.spans.enumerated() {
                    for channel in 0..<channels {
                        var sum = Weights.half
                        for tap in 0..<span.count {
                            let at = line + (span.first + tap) * channels + channel
                            sum += Int(pixels[at]) * across.values[span.offset + tap]
                        }
                        buffer[(row * newWidth + column) * channels + channel] =
                            Weights.byte(sum)
                    }
                }
            }
            count = newWidth * rows * channels
        }
        let lineBytes = newWidth * channels
        let result = [UInt8](unsafeUninitializedCapacity: lineBytes * newHeight) { buffer, count in
            for (row, span) in down.spans.enumerated() {
                for at in 0..<lineBytes {
                    var sum = Weights.half
                    for tap in 0..<span.count {
                        sum +=
                            Int(narrow[(span.first - first + tap) * lineBytes + at])
                            * down.values[span.offset + tap]
                    }
                    buffer[row * lineBytes + at] = Weights.byte(sum)
                }
            }
            count = lineBytes * newHeight
        }
        return DecodedImage(
            width: newWidth, height: newHeight, channels: channels, pixels: result)
    }

    /// What each pixel along one axis is made of.
    private struct Weights {
        struct Span {
            /// The first pixel that counts.
            var first: Int
            /// How many count.
            var count: Int
            /// Where their weights begin.
            var offset: Int
        }

        static let bits = 22
        static let half = 1 << (bits - 1)
        private(set) var spans: [Span] = []
        private(set) var values: [Int] = []

        static func byte(_ sum: Int) -> UInt8 { UInt8(clamping: sum >> bits) }

        init(from size: Int, _ begin: Double, _ end: Double, to newSize: Int) {
            let scale = (end - begin) / Double(newSize)
            let support = max(scale, 1)
            for place in 0..<newSize {
                let centre = begin + (Double(place) + 0.5) * scale
                let first = max(0, Int(centre - support + 0.5))
                let last = min(size, Int(centre + support + 0.5))
                let weights = (first..<last).map { pixel in
                    max(0, 1 - abs((Double(pixel) - centre + 0.5) * (1 / support)))
                }
                let sum = weights.reduce(0, +)
                spans.append(Span(first: first, count: last - first, offset: values.count))
                values += weights.map { weight in
                    let share = sum != 0 ? weight / sum : weight
                    return Int(0.5 + share * Double(1 << Self.bits))
                }
            }
        }
    }
}
