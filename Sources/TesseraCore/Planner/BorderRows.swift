/// Cuts the tiles of row stages into border rows and inner rows: while the border rows travel to the
/// neighbours, the inner ones are computed.
///
/// The *border* of a tile is what other nodes read of it in the next block, and what needs rows that
/// other nodes make in the blocks before. It runs first and leaves at once; the inner rows need
/// nothing of others, so that a node that waits for its neighbours has them to compute. Border and
/// inner rows compute again what both need within the block, which is why a block is cut only where
/// the time that it hides is longer.
struct BorderRows {
    private let outline: ModelOutline
    private let evaluator: PlanEvaluator
    private let parts: [Planner.StageParts]
    /// What each fragment of each part reads and makes; nil if it is no tile.
    private let tiles: [[RowTile?]]

    /// Slices of a part of a tile, at least: its own rows of the block before and those of a
    /// neighbour, or of the tile's other parts, and what it makes.
    private static let slicesPerFragment = 3

    /// Looks at the stages of a plan to be.
    init(_ parts: [Planner.StageParts], outline: ModelOutline, evaluator: PlanEvaluator) {
        self.parts = parts
        self.outline = outline
        self.evaluator = evaluator
        tiles = parts.map { part in
            part.fragments.map { fragment in
                fragment.rows.flatMap { outline.rowTile(of: part.operators, rows: $0) }
            }
        }
    }

    /// The stages with the tiles of a block cut wherever the way of one item gets shorter by it.
    func cut() -> [Planner.StageParts] {
        var result = parts
        // Whether what the nodes of the part before have for others has left early.
        var hasLeftEarly = false
        for index in parts.indices {
            guard parts[index].mode == .rows else {
                hasLeftEarly = false
                continue
            }
            let cuts = parts[index].fragments.indices.map {
                cut(of: $0, in: index, waits: !hasLeftEarly)
            }
            // The slowest tile sets the pace of a block: unless all gain, none does.
            let bordered = cuts.compactMap { $0 }
            hasLeftEarly = !bordered.isEmpty && bordered.allSatisfy(\.isWorthwhile)
            guard hasLeftEarly else { continue }
            result[index].fragments = zip(parts[index].fragments, cuts).flatMap { tile, cut in
                cut?.fragments ?? [tile]
            }
        }
        return result
    }

    /// A tile that is cut.
    private struct Cut {
        /// In the order in which the node runs them: borders first.
        var fragments: [Fragment]
        /// Nanoseconds of travelling that the inner rows hide.
        var hidden: Int
        /// Nanoseconds that all parts take more than the tile, computed and handed over.
        var again: Int

        /// Thin tiles compute less efficiently than their share says, and what loopback or a busy
        /// host take to hand over is not all travelling: twice what is computed again must be won.
        var isWorthwhile: Bool { hidden > 2 * again }
    }

    /// How a tile may be cut; nil if nobody waits for a part of it, or all of it is border.
    ///
    /// `waits` says that its neighbours' rows leave when their tiles are done.
    private func cut(of place: Int, in part: Int, waits: Bool) -> Cut? {
        let tile = parts[part].fragments[place]
        guard let rows = tile.rows else { return nil }
        var inner = rows
        var hidden = 0
        if part + 1 < parts.count, parts[part + 1].mode == .rows {
            for (reader, fragment) in parts[part + 1].fragments.enumerated()
            where fragment.host != tile.host {
                guard let wanted = wanted(of: place, in: part, by: reader, in: part + 1) else {
                    continue
                }
                inner = Self.without(wanted.rows, inner, of: rows)
                hidden = max(
                    hidden,
                    evaluator.passage(from: tile.host, to: fragment.host, bytes: wanted.bytes))
            }
        }
        inner = selfContained(inner, place, in: part)
        guard !inner.isEmpty, inner != rows else { return nil }
        if waits, part > 0, parts[part - 1].mode == .rows {
            for (maker, fragment) in parts[part - 1].fragments.enumerated()
            where fragment.host != tile.host {
                guard let wanted = wanted(of: maker, in: part - 1, by: place, in: part) else {
                    continue
                }
                hidden = max(
                    hidden,
                    evaluator.passage(from: fragment.host, to: tile.host, bytes: wanted.bytes))
            }
        }
        let fragments = [
            rows.lowerBound..<inner.lowerBound, inner.upperBound..<rows.upperBound, inner,
        ].filter { !$0.isEmpty }.map { rows in
            var fragment = tile
            fragment.rows = rows
            return fragment
        }
        let times = fragments.map { evaluator.nanoseconds(of: $0) }
        let again =
            times.reduce(0, +) - evaluator.nanoseconds(of: tile)
            + evaluator.handover(
                on: tile.host, slices: (fragments.count - 1) * Self.slicesPerFragment)
        return Cut(
            fragments: fragments, hidden: min(hidden, times.last ?? 0), again: max(again, 0))
    }

    /// What one tile makes that another reads: as rows of the maker's stage, and in bytes; nil if
    /// that is nothing.
    private func wanted(
        of maker: Int, in part: Int, by reader: Int, in readerPart: Int
    ) -> (rows: Range<Int>, bytes: Int)? {
        guard let made = tiles[part][maker]?.outputs, let read = tiles[readerPart][reader]?.inputs,
            let own = parts[part].fragments[maker].rows,
            let reference = outline.referenceRowCount(of: parts[part].operators)
        else { return nil }
        var (first, end, bytes) = (own.upperBound, own.lowerBound, 0)
        for output in made {
            guard let input = read.first(where: { $0.tensor == output.tensor }),
                let count = outline.rowCount(ofTensor: output.tensor), let held = output.rows
            else { continue }
            let both = held.clamped(to: input.rows ?? 0..<count)
            guard !both.isEmpty else { continue }
            // Row `r` of the stage stands for the tensor's rows from `ceil(r count / reference)` on.
            first = min(first, both.lowerBound * reference / count)
            end = max(end, (both.upperBound - 1) * reference / count + 1)
            bytes += evaluator.bytes(ofTensor: output.tensor, rows: both)
        }
        return bytes == 0 ? nil : ((first..<max(first, end)).clamped(to: own), bytes)
    }

    /// The inner rows without a border; empty if the border is not at one end of the tile.
    private static func without(
        _ border: Range<Int>, _ inner: Range<Int>, of rows: Range<Int>
    ) -> Range<Int> {
        var (first, end) = (inner.lowerBound, inner.upperBound)
        if border.lowerBound <= rows.lowerBound {
            first = max(first, border.upperBound)
        } else if border.upperBound >= rows.upperBound {
            end = min(end, border.lowerBound)
        } else {
            end = first
        }
        return first..<max(first, end)
    }

    /// The most of some rows of a tile that need only rows which the tile's own node makes.
    private func selfContained(_ rows: Range<Int>, _ place: Int, in part: Int) -> Range<Int> {
        // By tensor that the tile reads and nodes make by rows: what its own node makes of it.
        var held: [Int: Range<Int>] = [:]
        let tile = parts[part].fragments[place]
        for before in parts[..<part].indices where parts[before].mode == .rows {
            for (maker, fragment) in parts[before].fragments.enumerated() {
                for output in tiles[before][maker]?.outputs ?? []
                where tiles[part][place]?.inputs.contains(where: { $0.tensor == output.tensor })
                    == true
                {
                    if fragment.host == tile.host {
                        held[output.tensor] = output.rows
                    } else if held[output.tensor] == nil {
                        held[output.tensor] = 0..<0
                    }
                }
            }
        }
        guard !held.isEmpty else { return rows }
        func isHeld(_ part: Range<Int>) -> Bool {
            guard let inputs = outline.rowTile(of: tile.operators, rows: part)?.inputs else {
                return false
            }
            return inputs.allSatisfy { input in
                guard let own = held[input.tensor] else { return true }
                guard let needed = input.rows else { return false }
                return needed.isEmpty
                    || own.lowerBound <= needed.lowerBound && needed.upperBound <= own.upperBound
            }
        }
        var first = rows.lowerBound
        while first < rows.upperBound, !isHeld(first..<(first + 1)) { first += 1 }
        var end = rows.upperBound
        while end > first, !isHeld((end - 1)..<end) { end -= 1 }
        return isHeld(first..<end) ? first..<end : first..<first
    }
}
