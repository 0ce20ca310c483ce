// What to fetch next and from whom, what to throw away, and the counts that both rest on.

extension BlobPlacement {
    /// A blob that may be fetched, and by what route.
    private struct Candidate {
        var blob: BlobID
        var isManifest: Bool
        var byteCount: Int
        var source: NodeBoot
    }

    // MARK: Fetching

    mutating func fetchNext(now: Timestamp, into directives: inout [Directive]) {
        while fetches.count < Limits.fetches {
            if let next = urgent(now: now) {
                start(next, isUrgent: true, into: &directives)
                continue
            }
            guard fetches.count(where: { !$0.isUrgent }) < Limits.backgroundFetches,
                let next = background(now: now)
            else { return }
            start(next, isUrgent: false, into: &directives)
        }
    }

    private mutating func start(
        _ next: Candidate, isUrgent: Bool, into directives: inout [Directive]
    ) {
        invariant(
            !fetches.contains { $0.blob == next.blob }, "\(next.blob) is being fetched already")
        fetches.append(
            Fetch(
                blob: next.blob, source: next.source, byteCount: next.byteCount,
                isUrgent: isUrgent))
        directives.append(.fetch(next.blob, isManifest: next.isManifest, from: next.source))
    }

    /// What a need waits for, in the order of the needs.
    private mutating func urgent(now: Timestamp) -> Candidate? {
        for need in needs {
            guard let index = index(of: need.manifest) else {
                if let next = manifest(need.manifest, now: now) { return next }
                continue
            }
            for place in need.blobs where !models[index].held.contains(place) {
                if let next = blob(place, of: index, now: now) { return next }
            }
        }
        return nil
    }

    /// Manifests of the catalogue first, then the rarest blob that fits.
    private mutating func background(now: Timestamp) -> Candidate? {
        for entry in named where index(of: entry.manifest) == nil {
            if let next = manifest(entry.manifest, now: now) { return next }
        }
        guard let diskBudget else { return nil }
        // The last tenth is for what a plan needs.
        let free = diskBudget / 10 * 9 - usedBytes - fetches.reduce(0) { $0 + $1.byteCount }
        var best: [(index: Int, place: Int)] = []
        var fewest = Int.max
        for index in models.indices where isReplicated(index) {
            let model = models[index]
            for place in model.outline.blobs.indices
            where !model.held.contains(place) && model.copies[place] > 0
                && model.copies[place] <= fewest && model.outline.blobs[place].byteCount <= free
                && isStartable(model.outline.blobs[place].id, now: now)
            {
                if model.copies[place] < fewest { best = [] }
                fewest = model.copies[place]
                best.append((index, place))
            }
        }
        // Different nodes begin with different blobs, and then have something to give each other.
        generator.shuffle(&best)
        for choice in best {
            if let next = blob(choice.place, of: choice.index, now: now) { return next }
        }
        return nil
    }

    /// Whether the model is to be fetched whole: it has a name, and it did not have to go for lack of
    /// room while others keep it.
    private func isReplicated(_ index: Int) -> Bool {
        let model = models[index]
        guard !model.isComplete, isNamed(model.outline.manifest) else { return false }
        return !shed.contains(model.outline.manifest)
            || (model.copies.min() ?? 0) < Limits.copiesKept
    }

    private func isStartable(_ blob: BlobID, now: Timestamp) -> Bool {
        !fetches.contains { $0.blob == blob }
            && !retries.contains { $0.blob == blob && now < $0.at }
    }

    private mutating func blob(_ place: Int, of index: Int, now: Timestamp) -> Candidate? {
        let blob = models[index].outline.blobs[place]
        guard isStartable(blob.id, now: now) else { return nil }
        let manifest = models[index].outline.manifest
        guard let source = source(of: blob.id, where: { $0.has(place, of: manifest) }) else {
            return nil
        }
        return Candidate(
            blob: blob.id, isManifest: false, byteCount: blob.byteCount, source: source)
    }

    private mutating func manifest(_ manifest: ManifestID, now: Timestamp) -> Candidate? {
        let blob = BlobID(manifest: manifest)
        guard isStartable(blob, now: now) else { return nil }
        let author = named.first { $0.manifest == manifest }?.author
        let holder = source(of: blob) { $0.holding(of: manifest) != nil }
        // The author has it, even if its record did not arrive yet.
        guard let source = holder ?? source(of: blob, where: { $0.member.node == author }) else {
            return nil
        }
        return Candidate(blob: blob, isManifest: true, byteCount: 0, source: source)
    }

    /// Of the reachable holders that did not just fail, one that gives us the fewest blobs now.
    private mutating func source(of blob: BlobID, where has: (Peer) -> Bool) -> NodeBoot? {
        var best: [NodeBoot] = []
        var least = (Int.max, Int.max)
        for peer in peers where peer.isReachable && has(peer) {
            let node = peer.member.node
            if failures.contains(where: { $0.blob == blob && $0.source == node }) { continue }
            // Who failed to give another blob is asked last.
            let load = (
                failures.contains { $0.source == node } ? 1 : 0,
                fetches.count { $0.source.node == node }
            )
            if load < least { best = [] }
            if load <= least {
                least = load
                best.append(peer.member)
            }
        }
        return generator.pick(best)
    }

    mutating func forgetFailures(of blob: BlobID) {
        failures.removeAll { $0.blob == blob }
        retries.removeAll { $0.blob == blob }
    }

    // MARK: Needs

    /// Ends the needs that are satisfied or cannot be.
    mutating func endNeeds(now: Timestamp, into directives: inout [Directive]) {
        for need in needs where index(of: need.manifest) != nil {
            guard missing(need.manifest, need.blobs).isEmpty else { continue }
            changes.append(.needSatisfied(need.id))
            cancel(need.id)
        }
        for need in needs {
            let lacking = lacking(need)
            guard let place = needs.firstIndex(where: { $0.id == need.id }) else { continue }
            let isRoom = makeRoom(for: need, now: now, into: &directives)
            if lacking == 0, isRoom {
                needs[place].lackingSince = nil
                continue
            }
            let since = need.lackingSince ?? now
            needs[place].lackingSince = since
            guard now - since >= Limits.sourcePatience || !isRoom else { continue }
            let count = isRoom ? lacking : missing(need.manifest, need.blobs).count
            changes.append(.needFailed(need.id, missing: count))
            cancel(need.id)
        }
    }

    /// How many blobs of the need no reachable node has, or gave in vain too often.
    private func lacking(_ need: Need) -> Int {
        guard let index = index(of: need.manifest) else {
            let author = named.first { $0.manifest == need.manifest }?.author
            let blob = BlobID(manifest: need.manifest)
            let isThere = peers.contains {
                $0.isReachable
                    && ($0.holding(of: need.manifest) != nil || $0.member.node == author)
            }
            return isThere && !isHopeless(blob) ? 0 : max(need.blobs.count, 1)
        }
        let model = models[index]
        return need.blobs.count { place in
            guard !model.held.contains(place), model.outline.blobs.indices.contains(place) else {
                return !model.outline.blobs.indices.contains(place)
            }
            let blob = model.outline.blobs[place].id
            if fetches.contains(where: { $0.blob == blob }) { return false }
            return isHopeless(blob)
                || !peers.contains { $0.isReachable && $0.has(place, of: need.manifest) }
        }
    }

    private func isHopeless(_ blob: BlobID) -> Bool {
        retries.contains { $0.blob == blob && $0.count >= Limits.failuresPerNeed }
    }

    // MARK: Throwing away

    /// Makes room for what the need misses; false if there cannot be enough.
    private mutating func makeRoom(
        for need: Need, now: Timestamp, into directives: inout [Directive]
    ) -> Bool {
        guard let diskBudget, let index = index(of: need.manifest) else { return true }
        let wanted = need.blobs.reduce(0) { sum, place in
            guard !models[index].held.contains(place),
                models[index].outline.blobs.indices.contains(place)
            else { return sum }
            return sum + models[index].outline.blobs[place].byteCount
        }
        while wanted > diskBudget - usedBytes {
            // Without a name first, then what was not used for the longest time.
            let first = models.indices.filter { isSpare($0) }.min {
                (models[$0].namelessSince == nil ? 1 : 0, models[$0].lastUse)
                    < (models[$1].namelessSince == nil ? 1 : 0, models[$1].lastUse)
            }
            guard let first else { return false }
            if models[first].namelessSince == nil { shed.append(models[first].outline.manifest) }
            directives.append(.report(.limit("bytes of blobs on disk", count: usedBytes)))
            discard(first, now: now, into: &directives)
        }
        return true
    }

    /// Whether the model may go for lack of room: nothing here wants it, and if it has a name then
    /// enough others have whatever is here.
    private func isSpare(_ index: Int) -> Bool {
        let model = models[index]
        guard model.heldCount > 0, !isKept(model.outline.manifest) else { return false }
        if model.namelessSince != nil { return true }
        return model.copies.indices.allSatisfy {
            !model.held.contains($0) || model.copies[$0] >= Limits.copiesKept
        }
    }

    /// Throws models away that lost their name and that nothing here wants.
    mutating func discardNameless(now: Timestamp, into directives: inout [Directive]) {
        for index in models.indices.reversed() {
            guard let since = models[index].namelessSince, now - since >= models[index].grace,
                !isKept(models[index].outline.manifest)
            else { continue }
            discard(index, now: now, into: &directives)
        }
    }

    private mutating func discard(
        _ index: Int, now: Timestamp, into directives: inout [Directive]
    ) {
        let manifest = models[index].outline.manifest
        for place in models[index].outline.blobs.indices where models[index].held.contains(place) {
            release(place, of: index)
        }
        models.remove(at: index)
        directives.append(.discard(manifest))
        changes.append(.discarded(manifest))
        holdingsAt = now
    }

    // MARK: Counts

    mutating func insert(
        _ outline: ModelOutline, now: Timestamp, into directives: inout [Directive]
    ) -> Bool {
        guard models.count < Limits.models else {
            directives.append(.report(.limit("models", count: models.count)))
            return false
        }
        var places: [BlobID: Int] = [:]
        for place in outline.blobs.indices { places[outline.blobs[place].id] = place }
        let isNamed = isNamed(outline.manifest)
        let words = (outline.blobs.count + 63) / 64
        var model = Model(
            outline: outline,
            held: Holding(
                manifest: outline.manifest, blobs: [UInt64](repeating: 0, count: words)),
            copies: [Int](repeating: 0, count: outline.blobs.count), places: places,
            namelessSince: isNamed ? nil : now, lastUse: now)
        if isNamed { model.grace = Limits.removedGrace }
        let index =
            models.firstIndex { $0.outline.manifest > outline.manifest } ?? models.count
        models.insert(model, at: index)
        for peer in peers {
            recount(
                outline.manifest, from: [], to: peer.holding(of: outline.manifest)?.blobs ?? [])
        }
        return true
    }

    /// Notes that a blob of a model is here.
    mutating func hold(_ place: Int, of index: Int) {
        guard models[index].outline.blobs.indices.contains(place),
            !models[index].held.contains(place)
        else { return }
        let blob = models[index].outline.blobs[place]
        models[index].held.insert(place)
        models[index].heldCount += 1
        let count = references[blob.id] ?? 0
        if count == 0 { usedBytes += blob.byteCount }
        references[blob.id] = count + 1
    }

    /// Notes that a blob of a model is not here any more.
    mutating func release(_ place: Int, of index: Int) {
        let blob = models[index].outline.blobs[place]
        invariant(models[index].held.contains(place), "\(blob.id) was not here")
        models[index].held.blobs[place / 64] &= ~(1 << UInt64(place % 64))
        models[index].heldCount -= 1
        let count = references[blob.id] ?? 0
        invariant(count > 0, "\(blob.id) is counted \(count) times though it is here")
        references[blob.id] = count == 1 ? nil : count - 1
        if count == 1 { usedBytes -= blob.byteCount }
    }

    /// Counts what a peer has gained and lost since its last record.
    mutating func recount(_ manifest: ManifestID, from old: [UInt64], to new: [UInt64]) {
        guard let index = index(of: manifest) else { return }
        for word in 0..<max(old.count, new.count) {
            let before = word < old.count ? old[word] : 0
            let after = word < new.count ? new[word] : 0
            var changed = before ^ after
            while changed != 0 {
                let bit = changed.trailingZeroBitCount
                changed &= changed - 1
                let place = word * 64 + bit
                guard place < models[index].copies.count else { return }
                models[index].copies[place] += after >> UInt64(bit) & 1 == 1 ? 1 : -1
            }
        }
    }

    /// Whether a newer run of the peer's node is known: what was heard of the older one since says
    /// nothing, and must not take the newer one's place.
    func isOutdated(_ peer: NodeBoot) -> Bool {
        let place = insertionIndex(of: peer.node)
        return place < peers.count && peers[place].member.node == peer.node
            && peers[place].member.boot > peer.boot
    }

    private func insertionIndex(of node: NodeID) -> Int {
        var low = 0
        var high = peers.count
        while low < high {
            let middle = (low + high) / 2
            if peers[middle].member.node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Where the peer stands in `peers`; makes the place, and drops an older run's.
    mutating func place(of peer: NodeBoot) -> Int {
        let place = insertionIndex(of: peer.node)
        if place < peers.count, peers[place].member.node == peer.node {
            if peers[place].member != peer {
                for holding in peers[place].holdings {
                    recount(holding.manifest, from: holding.blobs, to: [])
                }
                peers[place] = Peer(member: peer)
            }
            return place
        }
        peers.insert(Peer(member: peer), at: place)
        return place
    }
}
