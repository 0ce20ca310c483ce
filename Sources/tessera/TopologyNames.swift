/// The names of the nodes of a topology or a profile.
///
/// A group of `count` nodes called `x` has the nodes `x-1`, `x-2`, …; a group of one is called `x`
/// itself.
struct TopologyNames {
    /// The nodes' names.
    private(set) var all: [String] = []
    private var groups: [(name: String, nodes: Range<Int>)] = []

    /// Adds a group; the indices of its nodes.
    mutating func add(
        _ name: DocumentField, count: DocumentField?, atMost nodesMax: Int
    ) throws -> Range<Int> {
        let text = try name.text()
        let number = try count?.whole(from: 1, to: nodesMax, unit: "nodes") ?? 1
        let names = number == 1 ? [text] : (1...number).map { "\(text)-\($0)" }
        let known = all + groups.map(\.name)
        if let double = (names + [text]).first(where: known.contains) {
            throw name.failure("a second node or group is called '\(double)'")
        }
        let range = all.count..<(all.count + number)
        guard range.upperBound <= nodesMax else {
            throw name.failure(
                "these are \(range.upperBound) nodes; at most \(nodesMax) are planned")
        }
        all += names
        groups.append((text, range))
        return range
    }

    /// The nodes that a name stands for: one, or all of a group.
    func nodes(_ field: DocumentField) throws -> Range<Int> {
        let text = try field.text()
        if let index = all.firstIndex(of: text) { return index..<(index + 1) }
        if let group = groups.first(where: { $0.name == text }) { return group.nodes }
        let names = groups.map { group in
            group.nodes.count == 1
                ? group.name
                : "\(group.name) (\(all[group.nodes.lowerBound]) to "
                    + "\(all[group.nodes.upperBound - 1]))"
        }
        throw field.failure(
            "no node is called '\(text)'; there are \(names.joined(separator: ", "))")
    }
}
