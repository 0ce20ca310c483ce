/// The tickets of the plans whose gate this node is.
///
/// A ticket is the right to have one attempt in flight. All plans of one decision (the primary and
/// its alternates, told apart by `without`) share one count, since they share the hosts'
/// reservations. Entries are served in turn, one ticket at a time, so that none starves.
struct Gate: Sendable {
    private struct Family {
        /// Tickets out, by number.
        var out: [UInt64: NodeBoot] = [:]
        var window: Int
        /// What each entry still wishes, for which plan, in the order in which they are served.
        var wishes: [Wish] = []
    }

    private struct Wish {
        var entry: NodeBoot
        var plan: PlanID
        var count: Int
    }

    /// Decisions are dropped with their plans; this many are kept per gate at most.
    private static let familiesMax = 256

    private var families: [Ballot: Family] = [:]
    private var nextNumber: UInt64 = 1

    /// An entry says how many tickets it wants in all, beyond those it has.
    mutating func onWish(
        plan: NamedPlan, entry: NodeBoot, count: Int, into directives: inout [Directive]
    ) {
        let ballot = plan.plan.ballot
        if families[ballot] == nil, families.count >= Self.familiesMax,
            let oldest = families.keys.min()
        {
            families.removeValue(forKey: oldest)
        }
        var family = families[ballot] ?? Family(window: plan.plan.window)
        if let index = family.wishes.firstIndex(where: { $0.entry == entry && $0.plan == plan.id })
        {
            family.wishes[index].count = count
            if count == 0 { family.wishes.remove(at: index) }
        } else if count > 0 {
            family.wishes.append(Wish(entry: entry, plan: plan.id, count: count))
        }
        serve(&family, into: &directives)
        families[ballot] = family
    }

    /// An entry gives tickets back.
    ///
    /// Unknown numbers are of an earlier boot of this node or were taken back already, and are
    /// ignored.
    mutating func onReturn(
        numbers: [UInt64], from entry: NodeBoot, into directives: inout [Directive]
    ) {
        // By number alone: the plan under which a ticket went out may be gone while its family,
        // and so the count that the ticket belongs to, lives on.
        for ballot in families.keys.sorted() {
            guard var family = families[ballot] else { continue }
            let returned = numbers.filter { family.out[$0] == entry }
            guard !returned.isEmpty else { continue }
            for number in returned { family.out.removeValue(forKey: number) }
            serve(&family, into: &directives)
            families[ballot] = family
        }
    }

    /// An entry's run is over: its tickets and wishes end with it.
    mutating func onEntryLost(_ entry: NodeBoot, into directives: inout [Directive]) {
        for ballot in families.keys.sorted() {
            guard var family = families[ballot] else { continue }
            family.wishes.removeAll { $0.entry == entry }
            for number in family.out.keys.sorted() where family.out[number] == entry {
                family.out.removeValue(forKey: number)
            }
            serve(&family, into: &directives)
            families[ballot] = family
        }
    }

    /// The decision's plans are held no more.
    mutating func onDropped(_ ballot: Ballot) {
        families.removeValue(forKey: ballot)
    }

    /// How many tickets of the decision are out.
    func outstanding(_ ballot: Ballot) -> Int { families[ballot]?.out.count ?? 0 }

    /// What is out of every decision, ascending, for checkers.
    var uses: [ReservationUse] {
        families.map { ballot, family in
            ReservationUse(ballot: ballot, window: family.window, used: family.out.count)
        }.sorted { $0.ballot < $1.ballot }
    }

    private mutating func serve(_ family: inout Family, into directives: inout [Directive]) {
        var granted: [(NodeBoot, PlanID, [UInt64])] = []
        while family.out.count < family.window, !family.wishes.isEmpty {
            var wish = family.wishes.removeFirst()
            let number = nextNumber
            nextNumber += 1
            family.out[number] = wish.entry
            wish.count -= 1
            if wish.count > 0 { family.wishes.append(wish) }
            if let index = granted.firstIndex(where: { $0.0 == wish.entry && $0.1 == wish.plan }) {
                granted[index].2.append(number)
            } else {
                granted.append((wish.entry, wish.plan, [number]))
            }
        }
        for (entry, plan, numbers) in granted {
            directives.append(.send(.request(.tickets(plan: plan, numbers: numbers)), to: entry))
        }
    }
}
