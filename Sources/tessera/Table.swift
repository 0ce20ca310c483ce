/// Columns of text with a header, each as wide as its widest cell; nothing is wrapped.
struct Table {
    private enum Alignment {
        case left
        case right
    }

    private var alignments: [Alignment] = []
    private var rows: [[String]] = []

    /// Makes a table; a name that begins with `>` is that of a right-aligned column.
    init(_ names: String...) { self.init(names) }

    /// Likewise, of a list.
    init(_ names: [String]) {
        alignments = names.map { $0.hasPrefix(">") ? .right : .left }
        rows = [names.map { $0.hasPrefix(">") ? String($0.dropFirst()) : $0 }]
    }

    /// Appends a row; missing cells are empty.
    mutating func add(_ cells: String...) { add(cells) }

    /// Likewise, of a list.
    mutating func add(_ cells: [String]) {
        rows.append(cells.map(Self.oneLine))
    }

    /// The lines, without blanks at their ends.
    var lines: [String] {
        let widths = alignments.indices.map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                line += (column == 0 ? "" : "  ")
                line += alignments[column] == .right ? blanks + cell : cell + blanks
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    /// Prints it, the header in bold on a terminal.
    func show() {
        for (index, line) in lines.enumerated() {
            Console.line(index == 0 ? Style.bold(line) : line)
        }
    }

    /// A cell is one line, whatever a peer put into its name: no control character reaches the
    /// terminal.
    private static func oneLine(_ text: String) -> String { Figures.printable(text) }
}
