/// How long fragments run on their hosts, as this entry sees it: from `started` to `passed`.
///
/// What a host measures of itself says nothing of a host that stalls; this does.
struct RunSpans: Sendable {
    private struct Place: Hashable {
        var key: FragmentKey
        var host: NodeBoot
    }

    private struct Samples {
        var spans: [TimeSpan] = []
        var next = 0
    }

    /// A run is late after this many times the longest usual run.
    static let margin: Int64 = 4
    /// No run is late before: schedulers and networks stall that long without any fault.
    static let shortestClock = TimeSpan.milliseconds(150)
    /// Fewer runs say nothing of what is usual.
    static let samplesLeast = 8
    private static let samplesMax = 64
    /// Bounds what a long life collects; plans change rarely.
    private static let placesMax = 1_024

    private var samples: [Place: Samples] = [:]

    /// A run ended.
    mutating func note(_ span: TimeSpan, of key: FragmentKey, on host: NodeBoot) {
        let place = Place(key: key, host: host)
        if samples[place] == nil, samples.count >= Self.placesMax { samples = [:] }
        var held = samples.removeValue(forKey: place) ?? Samples()
        if held.spans.count < Self.samplesMax {
            held.spans.append(span)
        } else {
            held.spans[held.next] = span
            held.next = (held.next + 1) % Self.samplesMax
        }
        samples[place] = held
    }

    /// After which time a run is late; nil while too little is known.
    ///
    /// Usual is the second longest of the last runs: the longest may be the stall itself.
    func clock(
        of key: FragmentKey, on host: NodeBoot, least: TimeSpan = shortestClock
    ) -> TimeSpan? {
        guard let held = samples[Place(key: key, host: host)],
            held.spans.count >= Self.samplesLeast
        else { return nil }
        var (longest, second) = (TimeSpan.zero, TimeSpan.zero)
        for span in held.spans {
            if span > longest {
                (longest, second) = (span, longest)
            } else if span > second {
                second = span
            }
        }
        return max(least, second * Self.margin)
    }

    /// A run of a node is over.
    mutating func forget(_ host: NodeBoot) {
        samples = samples.filter { $0.key.host != host }
    }
}
