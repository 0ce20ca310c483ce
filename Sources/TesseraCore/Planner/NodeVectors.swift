/// The sets of nodes of a space up to exchanging equal nodes: for each kind, how many.
///
/// A set is a *vector* of counts, numbered in mixed radix, so that the number of a sum of disjoint
/// sets is the sum of their numbers, and a part of a set has a lower number. With all nodes
/// different, a vector's number has a bit for each node.
struct NodeVectors: Sendable {
    /// How many nodes of each kind there are.
    let limits: [Int]
    /// What one node of a kind adds to a vector's number.
    let strides: [Int]
    /// How many vectors there are; the last one is all nodes.
    let count: Int
    /// How many nodes each vector has.
    let sizes: [Int]

    /// The vectors over the kinds of a space.
    init(_ space: PlanSpace) {
        limits = space.members.map(\.count)
        var strides: [Int] = []
        var count = 1
        for limit in limits {
            strides.append(count)
            count *= limit + 1
        }
        self.strides = strides
        self.count = count
        var sizes = [Int](repeating: 0, count: count)
        for number in 0..<count {
            sizes[number] = zip(strides, limits).reduce(0) { $0 + number / $1.0 % ($1.1 + 1) }
        }
        self.sizes = sizes
    }

    /// How many vectors a space has; `limit` if there are at least so many.
    static func count(_ space: PlanSpace, limit: Int) -> Int {
        var count = 1
        for members in space.members {
            count *= members.count + 1
            if count >= limit { return limit }
        }
        return count
    }

    /// How many pairs of a vector and a part of it a space has; `limit` if at least so many.
    static func pairCount(_ space: PlanSpace, limit: Int) -> Int {
        var count = 1
        for members in space.members {
            count *= (members.count + 1) * (members.count + 2) / 2
            if count >= limit { return limit }
        }
        return count
    }

    /// How many triples of disjoint vectors a space has; `limit` if at least so many.
    static func tripleCount(_ space: PlanSpace, limit: Int) -> Int {
        var count = 1
        for members in space.members {
            let size = members.count
            count *= (size + 1) * (size + 2) * (size + 3) / 6
            if count >= limit { return limit }
        }
        return count
    }

    /// How many triples of a vector and two groups a space has, all disjoint, if groups have at
    /// most `sizeMax` nodes; `limit` if at least so many.
    static func tripleCount(_ space: PlanSpace, sizeMax: Int, limit: Int) -> Int {
        // By the sizes of the two groups: over each kind, a share of it for each of the three.
        var counts = [1]
        let side = sizeMax + 1
        counts += Array(repeating: 0, count: side * side - 1)
        for members in space.members {
            var next = [Int](repeating: 0, count: counts.count)
            for (slot, count) in counts.enumerated() where count > 0 {
                for one in 0...min(members.count, sizeMax - slot / side) {
                    for other in 0...min(members.count - one, sizeMax - slot % side) {
                        let rest = members.count - one - other + 1
                        let target = slot + one * side + other
                        next[target] = min(next[target] + count * rest, limit)
                    }
                }
            }
            counts = next
        }
        return min(counts.reduce(0, +), limit)
    }

    /// How many nodes of each kind a vector has.
    func counts(_ number: Int) -> [Int] {
        zip(strides, limits).map { number / $0 % ($1 + 1) }
    }

    /// The nodes that a vector stands for: of each kind the first ones.
    func nodes(_ number: Int, of space: PlanSpace) -> [Int] {
        zip(counts(number), space.members).flatMap { $1[..<$0] }
    }

    /// Whether one vector is part of another.
    func isPart(_ part: Int, of whole: Int) -> Bool {
        for (stride, limit) in zip(strides, limits)
        where part / stride % (limit + 1) > whole / stride % (limit + 1) {
            return false
        }
        return true
    }
}

/// The groups of nodes that may run a stage, and which of them each set of nodes contains.
struct NodeGroups: Sendable {
    /// The vectors that the groups are.
    let vectors: NodeVectors
    /// For each group the number of its vector, ascending.
    let numbers: [Int]
    /// For each group the nodes that stand for it, in row order.
    let nodes: [[Int]]
    /// Where the groups of each vector begin in `parts`.
    let starts: [Int]
    /// For each vector the groups that it contains, ascending.
    let parts: [Int32]

    /// All groups, or those of at most so many nodes.
    init(_ space: PlanSpace, sizeMax: Int = .max) {
        let vectors = NodeVectors(space)
        self.vectors = vectors
        let takesAll = sizeMax >= space.nodes.count
        let numbers =
            sizeMax == 1
            ? vectors.strides
            : (1..<vectors.count).filter { takesAll || vectors.sizes[$0] <= sizeMax }
        self.numbers = numbers
        nodes = numbers.map { vectors.nodes($0, of: space) }
        var starts = [0]
        var parts: [Int32] = []
        for vector in 0..<vectors.count {
            if takesAll {
                Self.appendParts(of: vectors.counts(vector), vectors: vectors, to: &parts)
            } else {
                for (group, number) in numbers.enumerated() where vectors.isPart(number, of: vector)
                {
                    parts.append(Int32(group))
                }
            }
            starts.append(parts.count)
        }
        self.starts = starts
        self.parts = parts
    }

    /// Appends the groups (numbers less one) of all parts but the empty one, ascending.
    private static func appendParts(
        of counts: [Int], vectors: NodeVectors, to parts: inout [Int32]
    ) {
        let start = parts.count
        parts.append(-1)
        for (kind, count) in counts.enumerated() {
            let end = parts.count
            for taken in stride(from: 1, through: count, by: 1) {
                for place in start..<end {
                    parts.append(parts[place] + Int32(taken * vectors.strides[kind]))
                }
            }
        }
        parts.remove(at: start)
    }

    /// The groups that a vector contains, ascending.
    func groups(in vector: Int) -> ArraySlice<Int32> { parts[starts[vector]..<starts[vector + 1]] }
}
