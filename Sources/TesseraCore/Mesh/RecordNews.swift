/// How much of what a node measured is worth telling: every record goes to everybody, and each one
/// that arrives has the plans looked at again.
enum RecordNews {
    /// Microseconds by which round trips differ on the best of links.
    private static let roundTripNoise: Int64 = 200

    /// Whether plans may have to follow at once.
    static func isNews(_ own: NodeRecord, after old: NodeRecord) -> Bool {
        isNews(own.links, after: old.links) || isNews(own.times, after: old.times)
    }

    /// Whether plans that are made on what was told last are off by what was measured since: a tenth
    /// of a time, an eighth of a rate, or a quarter of a round trip.
    static func matters(_ own: NodeRecord, after told: NodeRecord) -> Bool {
        guard own.links.count == told.links.count, own.times.count == told.times.count else {
            return true
        }
        let timeMoved = zip(own.times, told.times).contains { time, before in
            time.key != before.key
                || abs(time.microseconds - before.microseconds) > before.microseconds / 10
        }
        if timeMoved { return true }
        return zip(own.links, told.links).contains { link, before in
            let (rate, old) = (link.bytesPerSecond, before.bytesPerSecond)
            let delay = abs(link.roundTripMicroseconds - before.roundTripMicroseconds)
            return link.peer != before.peer || (rate > old ? rate - old : old - rate) > old / 8
                || delay > max(before.roundTripMicroseconds / 4, roundTripNoise)
        }
    }

    /// Whether links tell something that plans were made without: a first rate, or one that is more
    /// than twice or less than half of what it was.
    private static func isNews(_ links: [LinkMeasurement], after old: [LinkMeasurement]) -> Bool {
        links.contains { link in
            let rate = link.bytesPerSecond
            let before = old.first { $0.peer == link.peer }?.bytesPerSecond ?? 0
            return rate > 0 && (before == 0 || rate / 2 > before || before / 2 > rate)
        }
    }

    /// Whether a fragment takes more than five quarters or less than three quarters of what was told.
    private static func isNews(_ times: [FragmentTime], after old: [FragmentTime]) -> Bool {
        var place = 0
        // Both ascend by key.
        return times.contains { time in
            while place < old.count, old[place].key < time.key { place += 1 }
            guard place < old.count, old[place].key == time.key else { return false }
            let before = old[place].microseconds
            return abs(time.microseconds - before) > before / 4
        }
    }
}
