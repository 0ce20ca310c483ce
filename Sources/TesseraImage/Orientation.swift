/// How a camera was held, as a JPEG file says it in its EXIF data (CIPA DC-008, tag 0x0112): which
/// sides of what is seen the first row and the first column of the stored pixels are.
enum Orientation: UInt16 {
    case topLeft = 1
    case topRight
    case bottomRight
    case bottomLeft
    case leftTop
    case rightTop
    case rightBottom
    case leftBottom

    private static let tag = 0x0112
    /// Types of a value: 16 bits as the standard has it, 32 bits as some programs write it.
    private static let (short, long) = (3, 4)

    /// What a JPEG file says; as it is stored if the file says nothing that can be understood.
    init(jpeg file: [UInt8]) {
        self = Self.exif(of: file).flatMap { Self.read($0) } ?? .topLeft
    }

    /// Whether rows are stored as columns.
    var isTurned: Bool { rawValue >= Self.leftTop.rawValue }

    /// Whether what is seen first of a stored row is its end.
    var isFromRight: Bool {
        switch self {
        case .topRight, .bottomRight, .rightBottom, .leftBottom: true
        default: false
        }
    }

    /// Whether what is seen first is in the last stored row.
    var isFromBottom: Bool {
        switch self {
        case .bottomRight, .bottomLeft, .rightTop, .rightBottom: true
        default: false
        }
    }

    /// The EXIF data: a TIFF file within a segment before the picture.
    private static func exif(of file: [UInt8]) -> ArraySlice<UInt8>? {
        let name = Array("Exif\0\0".utf8)
        var offset = 2
        while offset + 4 <= file.count, file[offset] == 0xFF {
            let marker = file[offset + 1]
            // Any number of 0xFF may fill the space before a segment.
            if marker == 0xFF {
                offset += 1
                continue
            }
            // From the picture itself on there are no such segments.
            guard marker != 0xDA, marker != 0xD9 else { return nil }
            let end = offset + 2 + (Int(file[offset + 2]) << 8 | Int(file[offset + 3]))
            guard end >= offset + 4, end <= file.count else { return nil }
            let content = file[(offset + 4)..<end]
            if marker == 0xE1, content.starts(with: name) { return content.dropFirst(name.count) }
            offset = end
        }
        return nil
    }

    /// What the first directory of a TIFF file says.
    private static func read(_ tiff: ArraySlice<UInt8>) -> Orientation? {
        let isLittle: Bool
        switch Array(tiff.prefix(4)) {
        case [0x49, 0x49, 42, 0]: isLittle = true
        case [0x4D, 0x4D, 0, 42]: isLittle = false
        default: return nil
        }
        func number(_ offset: Int, _ count: Int) -> Int? {
            guard offset >= 0, offset + count <= tiff.count else { return nil }
            let start = tiff.startIndex + offset
            let bytes = tiff[start..<(start + count)]
            return (isLittle ? Array(bytes.reversed()) : Array(bytes)).reduce(0) {
                $0 << 8 | Int($1)
            }
        }
        guard let directory = number(4, 4), let entries = number(directory, 2) else { return nil }
        for entry in 0..<entries {
            let place = directory + 2 + 12 * entry
            guard let found = number(place, 2) else { return nil }
            guard found == tag else { continue }
            let type = number(place + 2, 2)
            guard type == short || type == long, number(place + 4, 4) == 1 else { return nil }
            let value = number(place + 8, type == short ? 2 : 4)
            return value.flatMap(UInt16.init(exactly:)).flatMap(Orientation.init)
        }
        return nil
    }
}

extension DecodedImage {
    /// The image as it is seen if its rows and columns are stored so.
    func seen(_ orientation: Orientation) -> DecodedImage {
        guard orientation != .topLeft else { return self }
        let (wide, high) = orientation.isTurned ? (height, width) : (width, height)
        let turned = [UInt8](unsafeUninitializedCapacity: pixels.count) { buffer, count in
            var place = 0
            for y in 0..<high {
                for x in 0..<wide {
                    let (first, second) = orientation.isTurned ? (y, x) : (x, y)
                    let column = orientation.isFromRight ? width - 1 - first : first
                    let row = orientation.isFromBottom ? height - 1 - second : second
                    let from = (row * width + column) * channels
                    for channel in 0..<channels {
                        buffer.initializeElement(at: place, to: pixels[from + channel])
                        place += 1
                    }
                }
            }
            count = place
        }
        return DecodedImage(width: wide, height: high, channels: channels, pixels: turned)
    }
}
