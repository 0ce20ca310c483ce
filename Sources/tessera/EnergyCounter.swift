/// Adds up what a counter of energy says that goes round.
///
/// Only what lies between two readings that follow each other counts: where a reading is missing,
/// what passed until the next one is not known, and is left out.
struct EnergyCounter: Equatable {
    /// What was counted since the first reading.
    private(set) var microjoules: UInt64 = 0
    private var last: UInt64?

    /// Takes a reading of a counter that begins again at 0 behind `range`; nil if it could not be read.
    mutating func take(_ reading: UInt64?, range: UInt64) {
        // Beyond its own range a reading means nothing.
        guard let reading, reading <= range else {
            last = nil
            return
        }
        if let last {
            // It went round once at most: readings are a second apart, a round takes minutes.
            let passed = reading >= last ? reading - last : range - min(last, range) + reading
            let (sum, isTooLarge) = microjoules.addingReportingOverflow(passed)
            microjoules = isTooLarge ? .max : sum
        }
        last = reading
    }
}
