import TesseraCore

/// What is to happen at which virtual time, earliest first; ties go by order of insertion, so that
/// one seed gives one run.
///
/// The heap holds small keys only, the elements stay where they are put: most of a run's time went
/// into moving them.
struct EventQueue<Element> {
    private struct Key {
        var time: Int64
        var order: UInt64
        var slot: Int

        func precedes(_ other: Key) -> Bool { (time, order) < (other.time, other.order) }
    }

    private var heap: [Key] = []
    private var slots: [Element?] = []
    private var free: [Int] = []
    private var nextOrder: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }
    var nextTime: Timestamp? { heap.first.map { Timestamp(nanoseconds: $0.time) } }

    mutating func insert(_ element: Element, at time: Timestamp) {
        let slot: Int
        if let last = free.popLast() {
            slot = last
            slots[slot] = element
        } else {
            slot = slots.count
            slots.append(element)
        }
        heap.append(Key(time: time.nanoseconds, order: nextOrder, slot: slot))
        nextOrder += 1
        var child = heap.count - 1
        let key = heap[child]
        while child > 0 {
            let parent = (child - 1) / 2
            guard key.precedes(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = key
    }

    mutating func removeFirst() -> (time: Timestamp, element: Element)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        free.append(first.slot)
        guard let element = slots[first.slot].take() else { return nil }
        return (Timestamp(nanoseconds: first.time), element)
    }

    /// Puts a key in at the top and lets it sink to its place.
    private mutating func sink(_ key: Key) {
        var parent = 0
        while true {
            var least = 2 * parent + 1
            guard least < heap.count else { break }
            if least + 1 < heap.count, heap[least + 1].precedes(heap[least]) { least += 1 }
            guard heap[least].precedes(key) else { break }
            heap[parent] = heap[least]
            parent = least
        }
        heap[parent] = key
    }
}
