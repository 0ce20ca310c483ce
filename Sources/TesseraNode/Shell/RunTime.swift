import TesseraCore

/// What the clocks said of one run of a fragment.
struct RunTime {
    /// From the beginning to the end.
    var span: TimeSpan
    /// What the thread that asked for the run computed meanwhile.
    var threadTime: TimeSpan
    /// What all threads of the process computed meanwhile.
    var processTime: TimeSpan
    /// How many runs were in the engine when this one began, itself included.
    var runCount: Int

    /// How long each of many such runs one after the other keeps the engine busy, in microseconds.
    ///
    /// Without a quota it is the span; where several runs share the engine's threads, each has its
    /// part of it. Under a quota a single run may pass at full speed while what is left of the quota
    /// lasts, so processor time counts; and what the node itself computes beside the engine, which is
    /// told apart, lengthens the span and does not count.
    ///
    /// - Parameters:
    ///   - threads: how many the engine has.
    ///   - streams: how many runs it does at once.
    ///   - share: how much of its threads it may use, in thousandths.
    /// - Returns: whole microseconds.
    func microseconds(threads: Int, streams: Int, share: Int) -> Int64 {
        let streams = Int64(max(streams, 1))
        let threads = Int64(max(threads, 1))
        let share = Int64(max(share, 1))
        let all = Int64(ProcessorShare.all)
        let whole = span.nanoseconds / streams
        guard share < all else { return whole / 1_000 }
        let process = max(processTime.nanoseconds, 1)
        guard streams == 1 else {
            let own = process / Int64(max(runCount, 1))
            return max(whole, own / threads * all / share) / 1_000
        }
        let engine = threadTime.nanoseconds * threads
        let sustained = threadTime.nanoseconds * all / share
        // In floating point: nanoseconds squared overflow within an hour.
        let alone = Int64(Double(whole) * min(1, Double(engine) / Double(process)))
        return max(sustained, alone) / 1_000
    }
}

/// What the engine was given and gave back since the start.
struct RunTally: Equatable {
    /// Runs that ended.
    var runs = 0
    /// Slices that went in and came out.
    var slices = 0
    /// Their bytes.
    var bytes = 0

    static func - (left: RunTally, right: RunTally) -> RunTally {
        RunTally(
            runs: left.runs - right.runs, slices: left.slices - right.slices,
            bytes: left.bytes - right.bytes)
    }

    static func + (left: RunTally, right: RunTally) -> RunTally {
        RunTally(
            runs: left.runs + right.runs, slices: left.slices + right.slices,
            bytes: left.bytes + right.bytes)
    }
}
