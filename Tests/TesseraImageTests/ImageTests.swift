import TesseraCore
import Testing

@testable import TesseraImage

@Suite struct ImageTests {
    private static func input(
        _ channels: ImageInput.Channels = .rgb, _ layout: ImageInput.Layout = .nchw,
        fit: ImageInput.Fit = .stretch, mean: [Float]? = nil, scale: [Float]? = nil,
        scores: ImageInput.Scores = .logits, labels: [String] = []
    ) -> ImageInput {
        ImageInput(
            channels: channels, layout: layout, fit: fit,
            mean: mean ?? Array(repeating: 0, count: channels.count),
            scale: scale ?? Array(repeating: 1, count: channels.count), scores: scores,
            labels: labels)
    }

    private static func tensor(
        _ shape: [Int], _ type: ElementType = .float32
    ) -> TensorDescriptor {
        TensorDescriptor(name: "x", type: type, shape: shape)
    }

    private func floats(_ bytes: [UInt8]) -> [Float] {
        stride(from: 0, to: bytes.count, by: 4).map { at in
            Float(
                bitPattern: bytes[at..<(at + 4)].reversed().reduce(UInt32(0)) {
                    $0 << 8 | UInt32($1)
                })
        }
    }

    @Test("files are decoded to the pixels that Pillow sees")
    func decoding() throws {
        for (name, file) in ReferenceImages.files {
            let image = try DecodedImage(file: file)
            #expect(image.width == 7 && image.height == 5, "\(name)")
            let expected = try #require(ReferenceImages.pixels[name])
            // A JPEG's decoder may round otherwise.
            let tolerance = name == "jpeg" ? 2 : 0
            for (pixel, value) in zip(image.pixels, expected) {
                #expect(abs(Int(pixel) - Int(value)) <= tolerance, "\(name)")
            }
        }
    }

    @Test("every file that is cut off or is none is refused")
    func damage() throws {
        for (name, file) in ReferenceImages.files {
            for length in 0..<(file.count - 16) {
                #expect(throws: ImageError.self, "\(name) of \(length) bytes") {
                    _ = try DecodedImage(file: Array(file.prefix(length)))
                }
            }
        }
        #expect(throws: ImageError.unknownFormat) { try DecodedImage(file: [1, 2, 3]) }
        #expect(throws: ImageError.unknownFormat) { try DecodedImage(file: Array("GIF89a".utf8)) }
    }

    @Test("any changed byte gives an image or an error, never more")
    func corruption() {
        for (_, file) in ReferenceImages.files {
            for index in file.indices {
                var changed = file
                changed[index] ^= 0x55
                // Whether it can still be read is the library's matter.
                _ = try? DecodedImage(file: changed)
            }
        }
    }

    /// A side of what is seen.
    private enum Side { case top, right, bottom, left }

    /// Which sides the first row and column are, by the number in the file (CIPA DC-008).
    private static let orientations: [(number: UInt8, row: Side, column: Side)] = [
        (1, .top, .left), (2, .top, .right), (3, .bottom, .right), (4, .bottom, .left),
        (5, .left, .top), (6, .right, .top), (7, .right, .bottom), (8, .left, .bottom),
    ]

    /// The JPEG file with EXIF data put behind its first marker: another tag, then the orientation.
    private static func photo(_ number: UInt8, isLittle: Bool, type: UInt8 = 3) -> [UInt8] {
        func two(_ value: UInt8) -> [UInt8] { isLittle ? [value, 0] : [0, value] }
        func four(_ value: UInt8) -> [UInt8] { isLittle ? [value, 0, 0, 0] : [0, 0, 0, value] }
        let tag: [UInt8] = isLittle ? [0x12, 1] : [1, 0x12]
        let other: [UInt8] = isLittle ? [0, 1] : [1, 0]
        let value = type == 3 ? two(number) + [0, 0] : four(number)
        let entries =
            other + two(3) + four(1) + two(9) + [0, 0] + tag + two(type) + four(1) + value
        let mark = Array((isLittle ? "II" : "MM").utf8)
        let exif = Array("Exif\0\0".utf8) + mark + two(42) + four(8) + two(2) + entries + four(0)
        let file = ReferenceImages.files.first { $0.0 == "jpeg" }?.1 ?? []
        return Array(file.prefix(2)) + [0xFF, 0xFF, 0xE1, 0, UInt8(exif.count + 2)] + exif
            + file.dropFirst(2)
    }

    @Test("a photo is seen as the camera was held", arguments: [true, false])
    func orientation(isLittle: Bool) throws {
        let upright = try DecodedImage(file: Self.photo(1, isLittle: isLittle))
        #expect(upright.width == 7 && upright.height == 5)
        for (number, row, column) in Self.orientations {
            let seen = try DecodedImage(
                file: Self.photo(number, isLittle: isLittle, type: number % 2 == 0 ? 3 : 4))
            let isTurned = row == .left || row == .right
            try #require(seen.width == (isTurned ? 5 : 7), "orientation \(number)")
            try #require(seen.height == (isTurned ? 7 : 5), "orientation \(number)")
            for r in 0..<5 {
                for c in 0..<7 {
                    var (x, y) = (0, 0)
                    for (side, place, last) in [(row, r, 4), (column, c, 6)] {
                        switch side {
                        case .top: y = place
                        case .bottom: y = last - place
                        case .left: x = place
                        case .right: x = last - place
                        }
                    }
                    let (from, to) = ((r * 7 + c) * 3, (y * seen.width + x) * 3)
                    #expect(
                        seen.pixels[to..<(to + 3)] == upright.pixels[from..<(from + 3)],
                        "orientation \(number), row \(r), column \(c)")
                }
            }
        }
    }

    @Test("EXIF data that make no sense leave a photo as it is stored")
    func noOrientation() throws {
        let upright = try DecodedImage(file: Self.photo(1, isLittle: true))
        for number: UInt8 in [0, 9, 255] {
            #expect(try DecodedImage(file: Self.photo(number, isLittle: false)) == upright)
        }
        // Another type, another count, a directory beyond the end, another kind of file.
        let right = Self.photo(6, isLittle: false)
        let start = 2 + 5 + 6
        for (place, value) in [(25, 2), (29, 2), (4, 255), (3, 43), (9, 1)] as [(Int, UInt8)] {
            var wrong = right
            wrong[start + place] = value
            #expect(try DecodedImage(file: wrong) == upright, "byte \(place)")
        }
    }

    @Test("a small file that would be a huge image is refused by its size")
    func bombs() {
        // The width of the PNG's head; its checksum is wrong then, so it is set, too.
        #expect(throws: ImageError.tooLarge(width: 30_000, height: 30_000)) {
            try DecodedImage(file: ReferenceImages.bomb)
        }
    }

    @Test("resizing gives what Pillow gives, bit for bit")
    func resizing() throws {
        let image = DecodedImage(
            width: 7, height: 5, channels: 3, pixels: try #require(ReferenceImages.pixels["rgb"]))
        for reference in ReferenceImages.resized {
            let box = reference.box.map {
                DecodedImage.Box(left: $0[0], top: $0[1], right: $0[2], bottom: $0[3])
            }
            let result = image.resized(
                width: reference.width, height: reference.height, box: box)
            // Of an image that gets wider and lower Pillow 13 does the columns first.
            let tolerance = reference.width > 7 && reference.height < 5 ? 1 : 0
            #expect(result.pixels.count == reference.pixels.count)
            for (pixel, value) in zip(result.pixels, reference.pixels) {
                #expect(abs(Int(pixel) - Int(value)) <= tolerance, "\(reference)")
            }
        }
        #expect(image.grey().pixels == ReferenceImages.grey)
    }

    @Test("the middle is as large as its aspect ratio allows")
    func middles() {
        let image = DecodedImage(width: 8, height: 4, channels: 1, pixels: [])
        #expect(
            image.middle(width: 1, height: 1)
                == DecodedImage.Box(left: 2, top: 0, right: 6, bottom: 4))
        #expect(
            image.middle(width: 4, height: 1)
                == DecodedImage.Box(left: 0, top: 1, right: 8, bottom: 3))
    }

    @Test("channels, layout, mean and scale are as they were declared")
    func tensors() {
        let image = DecodedImage(
            width: 2, height: 1, channels: 3, pixels: [10, 20, 30, 40, 50, 60])
        let planar = Self.input(mean: [10, 0, 0], scale: [2, 1, 4])
        #expect(
            floats(planar.tensor(of: image, for: Self.tensor([1, 3, 1, 2])))
                == [0, 15, 20, 50, 7.5, 15])
        #expect(
            floats(Self.input(.bgr, .nhwc).tensor(of: image, for: Self.tensor([1, 1, 2, 3])))
                == [30, 20, 10, 60, 50, 40])
        #expect(
            Self.input(.rgb, .nhwc).tensor(of: image, for: Self.tensor([1, 1, 2, 3], .uint8))
                == image.pixels)
        // (19595 · 10 + 38470 · 20 + 7471 · 30 + 32768) >> 16
        #expect(
            Self.input(.grey).tensor(of: image, for: Self.tensor([1, 1, 1, 2], .uint8)) == [18, 48])
    }

    @Test("classes come by probability, equal ones by number")
    func classes() {
        func bytes(_ values: [Float]) -> [UInt8] {
            values.flatMap { value in
                [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value.bitPattern >> $0) }
            }
        }
        let given = Self.input(scores: .probabilities, labels: ["a", "b", "c"])
        #expect(
            given.classes(of: bytes([0.25, 0.5, 0.25]), atMost: 2) == [
                ImageClass(index: 1, label: "b", probability: 0.5),
                ImageClass(index: 0, label: "a", probability: 0.25),
            ])
        let large = Self.input().classes(of: bytes([1_000, 1_000, -1_000]), atMost: 9)
        #expect(large.map(\.index) == [0, 1, 2])
        #expect(large.map(\.probability) == [0.5, 0.5, 0])
        #expect(large[0].label == nil)
    }

    @Test("a description that does not fit to the model says why")
    func faults() {
        let output = [Self.tensor([1, 10])]
        func fault(
            _ image: ImageInput, _ shape: [Int] = [1, 3, 8, 8], _ type: ElementType = .float32
        ) -> String? {
            image.fault(inputs: [Self.tensor(shape, type)], outputs: output)
        }
        #expect(fault(Self.input()) == nil)
        #expect(fault(Self.input(.grey), [1, 1, 8, 8]) == nil)
        #expect(fault(Self.input(), [1, 3, 8, 8], .uint8) == nil)
        #expect(fault(Self.input(.grey)) != nil)
        #expect(fault(Self.input(.rgb, .nhwc)) != nil)
        #expect(fault(Self.input(), [2, 3, 8, 8]) != nil)
        #expect(fault(Self.input(), [1, 3, 9_000, 8]) != nil)
        #expect(fault(Self.input(mean: [1, 1, 1]), [1, 3, 8, 8], .uint8) != nil)
        #expect(fault(Self.input(mean: [1])) != nil)
        #expect(fault(Self.input(scale: [1, 0, 1])) != nil)
        #expect(fault(Self.input(mean: [.nan, 0, 0])) != nil)
        #expect(fault(Self.input(labels: ["one"]))?.contains("10 classes") == true)
        #expect(
            fault(Self.input(labels: [String(repeating: "x", count: 300)]))?.contains("256")
                == true)
        #expect(
            Self.input().fault(inputs: [], outputs: output) == "the model has 0 inputs; an image "
                + "fills one")
    }
}
