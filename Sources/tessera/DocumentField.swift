import Yams

/// A place in a YAML or JSON file and what stands there; whoever reads it is strict.
///
/// JSON is read as the part of YAML that it is, so that both have places to point at.
struct DocumentField {
    /// No file of figures is longer: 400 layers on 64 types of nodes are half of this.
    private static let fileBytesMax = 4 << 20
    /// The longest text that a document may hold.
    private static let textBytesMax = 1_024
    /// The largest whole number that is read: more bytes than any machine has.
    private static let wholeMax = 1 << 50

    /// The file.
    let file: String
    /// The way to it from the top, such as `nodes[2].memory_bytes`; empty for the whole document.
    let path: String
    private let node: Node

    private init(file: String, path: String, node: Node) {
        self.file = file
        self.path = path
        self.node = node
    }

    /// Reads a file.
    static func document(at file: String, what: String) throws -> DocumentField {
        let bytes = try Files.read(file, bytesMax: fileBytesMax, what: what)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(what) \(file) is not text in UTF-8. Check the path.")
        }
        return try document(text, file: file)
    }

    /// Reads a text; the file's name is for messages.
    static func document(_ text: String, file: String) throws -> DocumentField {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw failure(of: error, file: file)
        }
        guard let root else { throw CommandFailure("\(file), line 1: the file is empty.") }
        return DocumentField(file: file, path: "", node: root)
    }

    private static func failure(of error: YamlError, file: String) -> CommandFailure {
        func text(_ mark: Mark?, _ problem: String) -> CommandFailure {
            let place = mark.map { ", line \($0.line), column \($0.column)" } ?? ""
            return CommandFailure("\(file)\(place): \(Figures.printable(problem)).")
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return text(mark, problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.sorted().map { "'\($0)'" }.joined(separator: ", ")
            return text(context.mark, "given twice: \(names)")
        default: return text(nil, "\(error)")
        }
    }

    // MARK: What is wrong

    /// An error at this place.
    func failure(_ reason: String) -> CommandFailure {
        failure(reason, at: node, path: path)
    }

    private func failure(_ reason: String, at node: Node, path: String) -> CommandFailure {
        let place = node.mark.map { ", line \($0.line), column \($0.column)" } ?? ""
        let field = path.isEmpty ? "" : ", \(Figures.printable(path))"
        return CommandFailure("\(file)\(place)\(field): \(Figures.printable(reason)).")
    }

    /// What stands here, in words.
    private var words: String {
        switch node {
        case .mapping: return "a mapping"
        case .sequence: return "a list"
        case .alias: return "an alias"
        case .scalar(let scalar):
            if isNull { return "nothing (null)" }
            let text = scalar.string
            return "'\(text.count > 40 ? text.prefix(40) + "…" : text[...])'"
        }
    }

    private func wrong(_ expected: String) -> CommandFailure {
        failure("here is \(words); expected is \(expected)")
    }

    // MARK: Values

    /// Whether it is null.
    var isNull: Bool {
        guard let scalar = node.scalar else { return false }
        return scalar.style == .plain && node.tag == Tag(.null)
    }

    /// The members of a mapping that knows no other keys.
    func members(_ keys: [String]) throws -> DocumentMembers {
        for (name, key, _) in try nodes() where !keys.contains(name) {
            throw failure(
                "the key '\(name)' is not known; known here are \(keys.joined(separator: ", "))",
                at: key, path: way(to: name))
        }
        return DocumentMembers(self, try mapping())
    }

    /// The members of a mapping with any keys, in the order of the file.
    func mapping() throws -> [(key: String, field: DocumentField)] {
        try nodes().map { name, _, value in
            (name, DocumentField(file: file, path: way(to: name), node: value))
        }
    }

    private func way(to name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private func nodes() throws -> [(name: String, key: Node, value: Node)] {
        guard case .mapping(let mapping) = node else { throw wrong("a mapping") }
        return try mapping.map { key, value in
            guard let name = key.scalar?.string else {
                throw failure("a key has to be a text", at: key, path: path)
            }
            return (name, key, value)
        }
    }

    /// The members of a list.
    func list(atMost count: Int) throws -> [DocumentField] {
        guard case .sequence(let sequence) = node else { throw wrong("a list") }
        guard sequence.count <= count else {
            throw failure("the list has \(sequence.count) members; at most \(count) are planned")
        }
        return sequence.enumerated().map { index, node in
            DocumentField(file: file, path: "\(path)[\(index)]", node: node)
        }
    }

    /// A text that is not empty.
    func text() throws -> String {
        guard let scalar = node.scalar, scalar.style != .plain || node.tag == Tag(.str),
            !scalar.string.isEmpty, scalar.string.utf8.count <= Self.textBytesMax
        else { throw wrong("a text (in quotes, if it looks like a number)") }
        return scalar.string
    }

    /// A number that is not less than the least one allowed.
    func number(from least: Double = 0, to most: Double, unit: String) throws -> Double {
        let expected = "a number of \(unit) from \(Self.short(least)) to \(Self.short(most))"
        guard let scalar = node.scalar, scalar.style == .plain,
            scalar.string.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }),
            let value = Double(scalar.string), value >= least, value <= most
        else { throw wrong(expected) }
        return value
    }

    /// A whole number that is not less than the least one allowed.
    func whole(from least: Int = 0, to most: Int = wholeMax, unit: String) throws -> Int {
        let expected = "a whole number of \(unit) from \(least) to \(most)"
        guard let scalar = node.scalar, scalar.style == .plain else { throw wrong(expected) }
        if let value = Int(scalar.string) {
            guard value >= least, value <= most else { throw wrong(expected) }
            return value
        }
        let value = try number(from: Double(least), to: Double(most), unit: unit)
        guard let exact = Int(exactly: value) else { throw wrong(expected) }
        return exact
    }

    private static func short(_ value: Double) -> String {
        Int(exactly: value).flatMap { $0 < 1_000_000 ? "\($0)" : nil } ?? "\(value)"
    }
}

/// The members of a mapping whose keys are all known.
struct DocumentMembers {
    private let owner: DocumentField
    private let fields: [(key: String, field: DocumentField)]

    fileprivate init(_ owner: DocumentField, _ fields: [(key: String, field: DocumentField)]) {
        self.owner = owner
        self.fields = fields
    }

    /// A member that has to be there.
    func required(_ key: String) throws -> DocumentField {
        guard let field = fields.first(where: { $0.key == key })?.field else {
            throw owner.failure("'\(key)' is missing")
        }
        return field
    }

    /// A member that may be missing or null.
    func optional(_ key: String) -> DocumentField? {
        guard let field = fields.first(where: { $0.key == key })?.field, !field.isNull else {
            return nil
        }
        return field
    }
}
