/// A part of a model whose operators fall into branches that read nothing of each other.
public struct BranchRegion: Hashable, Sendable {
    /// At least two, in the order of the operators, without gaps.
    public var branches: [Range<Int>]

    /// All operators of the region.
    public var operators: Range<Int> {
        (branches.first?.lowerBound ?? 0)..<(branches.last?.upperBound ?? 0)
    }
}

extension ModelOutline {
    /// The parallel regions of the graph, ascending, none within another.
    ///
    /// A region begins with an operator that the ones after it do not all depend on, and ends before
    /// the first one that reads of that operator's branch: the join. Only branches whose operators
    /// follow each other in the model's order are seen.
    public var branchRegions: [BranchRegion] {
        let producers = producers
        var result: [BranchRegion] = []
        var start = 0
        while start < operators.count {
            if let region = region(from: start, producers) {
                result.append(region)
                start = region.operators.upperBound
            } else {
                start += 1
            }
        }
        return result
    }

    /// Whether no operator of a range reads of another one of the ranges.
    func areBranches(_ ranges: [Range<Int>]) -> Bool {
        let producers = producers
        return ranges.allSatisfy { range in
            producers[range].joined().allSatisfy { producer in
                range.contains(producer) || !ranges.contains { $0.contains(producer) }
            }
        }
    }

    /// The operators that each operator reads of.
    private var producers: [[Int]] {
        var result = [[Int]](repeating: [], count: operators.count)
        for tensor in tensors {
            guard let producer = tensor.producer else { continue }
            for consumer in tensor.consumers where operators.indices.contains(consumer) {
                result[consumer].append(producer)
            }
        }
        return result
    }

    private func region(from start: Int, _ producers: [[Int]]) -> BranchRegion? {
        func reads(_ index: Int, of range: Range<Int>) -> Bool {
            producers[index].contains { range.contains($0) }
        }
        guard
            let second = ((start + 1)..<max(start + 1, operators.count)).first(where: {
                !reads($0, of: start..<$0)
            })
        else { return nil }
        let end =
            (second..<operators.count).first { reads($0, of: start..<second) } ?? operators.count
        // A branch begins wherever nothing from there on reads of what is before it in the region.
        var bounds = [end]
        var earliest = end
        for index in (start..<end).reversed() {
            let own = producers[index].filter { $0 >= start }.min() ?? index
            earliest = min(earliest, own)
            if earliest >= index { bounds.append(index) }
        }
        bounds.reverse()
        guard bounds.count > 2 else { return nil }
        return BranchRegion(branches: zip(bounds, bounds.dropFirst()).map { $0..<$1 })
    }
}
