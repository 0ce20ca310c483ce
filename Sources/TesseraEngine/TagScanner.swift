/// Walks over the tags of an XML text without building a tree.
///
/// It serves estimates only: text that is no XML gives odd tags or none, never a failure.
/// Declarations and comments come out as tags whose names nobody asks for.
struct TagScanner {
    /// One tag.
    struct Tag {
        /// The element's name; with a leading slash for the end of an element.
        let name: String
        /// Whether the element has no content: `<a/>`.
        let isEmpty: Bool
        /// The attributes' text, quotes and all.
        fileprivate let attributes: ArraySlice<UInt8>

        /// The value of an attribute, as it stands in the text.
        func value(of name: String) -> String? {
            let wanted = Array("\(name)=\"".utf8)
            var rest = attributes
            while let start = rest.firstIndex(of: wanted[0]) {
                let follows = rest[start...].starts(with: wanted)
                let isWhole = start == attributes.startIndex || attributes[start - 1] <= 0x20
                guard follows, isWhole else {
                    rest = rest[(start + 1)...]
                    continue
                }
                let value = rest[(start + wanted.count)...].prefix { $0 != UInt8(ascii: "\"") }
                return String(decoding: value, as: UTF8.self)
            }
            return nil
        }
    }

    private let text: [UInt8]
    private var position = 0

    /// Starts at the beginning of `text`.
    init(_ text: [UInt8]) { self.text = text }

    /// The next tag; nil at the end of the text.
    mutating func next() -> Tag? {
        guard let open = text[position...].firstIndex(of: UInt8(ascii: "<")) else { return nil }
        var end = open + 1
        var quote: UInt8?
        while end < text.count, quote != nil || text[end] != UInt8(ascii: ">") {
            if text[end] == quote {
                quote = nil
            } else if quote == nil, text[end] == 0x22 || text[end] == 0x27 {
                quote = text[end]
            }
            end += 1
        }
        position = min(end + 1, text.count)
        let isEmpty = end > open + 1 && text[end - 1] == UInt8(ascii: "/")
        let inside = text[(open + 1)..<(isEmpty ? end - 1 : end)]
        let name = inside.prefix { $0 > 0x20 }
        return Tag(
            name: String(decoding: name, as: UTF8.self), isEmpty: isEmpty,
            attributes: inside[name.endIndex...])
    }

    /// The number that stands where the last tag ended; nil if there is none.
    func number() -> Int? {
        let digits = text[position...].prefix { (0x30...0x39).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}
