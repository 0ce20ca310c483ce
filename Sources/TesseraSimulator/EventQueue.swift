import TesseraCore

/// What is to happen at which virtual time, earliest first; ties go by order of insertion, so that
/// one seed gives one run.
struct EventQueue<Element> {
    private struct Entry {
        var time: Timestamp
        var order: UInt64
        var element: Element

        func precedes(_ other: Entry) -> Bool { (time, order) < (other.time, other.order) }
    }

    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }
    var nextTime: Timestamp? { heap.first?.time }

    mutating func insert(_ element: Element, at time: Timestamp) {
        heap.append(Entry(time: time, order: nextOrder, element: element))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() -> (time: Timestamp, element: Element)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2]
                where child < heap.count && heap[child].precedes(heap[least]) {
                    least = child
                }
                guard least != parent else { break }
                heap.swapAt(least, parent)
                parent = least
            }
        }
        return (first.time, first.element)
    }
}
