import ImageShim

/// Why bytes are not an image that can be used.
public enum ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// They are neither of a PNG nor of a JPEG file.
    case unknownFormat
    /// The image has too many pixels.
    case tooLarge(width: Int, height: Int)
    /// The file is damaged.
    case damaged(reason: String)

    /// What is wrong, and what would be right.
    public var description: String {
        switch self {
        case .unknownFormat: "the bytes are neither a PNG nor a JPEG image"
        case .tooLarge(let width, let height):
            "the image has \(width) × \(height) pixels; it may have "
                + "\(DecodedImage.pixelsMax), and no side beyond \(DecodedImage.sideMax)"
        case .damaged(let reason): "the image cannot be read: \(reason)"
        }
    }
}

/// An image as rows of pixels from the top, one byte for each channel.
public struct DecodedImage: Hashable, Sendable {
    /// Pixels that an image may have: 40 million are more than cameras of phones give, and take
    /// 120 MB, twice that while an image is turned.
    public static let pixelsMax = 40_000_000
    /// Pixels along one side.
    public static let sideMax = 32_768

    /// Pixels along a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// Bytes of a pixel.
    public let channels: Int
    /// The pixels.
    public let pixels: [UInt8]

    init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
    }

    /// Reads the size of a PNG or JPEG image without decoding it, before it is turned.
    public static func size(of file: [UInt8]) throws(ImageError) -> (width: Int, height: Int) {
        var (width, height) = (0, 0)
        var error = [CChar](repeating: 0, count: Int(TESSERA_IMAGE_ERROR_BYTES))
        let status = tessera_image_size(file, file.count, &width, &height, &error)
        try check(status, error)
        guard width > 0, height > 0, width <= sideMax, height <= sideMax,
            width * height <= pixelsMax
        else { throw .tooLarge(width: width, height: height) }
        return (width, height)
    }

    /// Decodes a PNG or JPEG image to red, green and blue.
    ///
    /// What is transparent becomes black. A JPEG image is turned as its EXIF data say that the camera
    /// was held.
    public init(file: [UInt8]) throws(ImageError) {
        let (width, height) = try Self.size(of: file)
        var error = [CChar](repeating: 0, count: Int(TESSERA_IMAGE_ERROR_BYTES))
        var status = tessera_image_ok
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, count in
            // A file that is damaged at its end leaves the rest as it was.
            buffer.initialize(repeating: 0)
            status = tessera_image_decode(
                file, file.count, width, height, buffer.baseAddress, &error)
            count = buffer.count
        }
        try Self.check(status, error)
        let stored = DecodedImage(width: width, height: height, channels: 3, pixels: pixels)
        self = stored.seen(Orientation(jpeg: file))
    }

    private static func check(
        _ status: tessera_image_status, _ error: [CChar]
    ) throws(ImageError) {
        switch status {
        case tessera_image_ok: return
        case tessera_image_unknown: throw .unknownFormat
        default:
            let text = error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw .damaged(reason: String(decoding: text, as: UTF8.self))
        }
    }

    /// The brightness of the pixels, by ITU-R BT.601 in whole numbers, as Pillow has it.
    func grey() -> DecodedImage {
        guard channels == 3 else { return self }
        let grey = [UInt8](unsafeUninitializedCapacity: width * height) { buffer, count in
            for pixel in 0..<(width * height) {
                let at = pixel * 3
                let sum =
                    19_595 * UInt32(pixels[at]) + 38_470 * UInt32(pixels[at + 1])
                    + 7_471 * UInt32(pixels[at + 2])
                buffer[pixel] = UInt8((sum + 0x8000) >> 16)
            }
            count = width * height
        }
        return DecodedImage(width: width, height: height, channels: 1, pixels: grey)
    }
}
