import NIOCore
import TesseraCore
import TesseraNode

/// What thresholds for a model's exits do, by what it said of items whose answers are known.
struct ExitCalibration {
    /// The thresholds that are tried.
    static let thresholds = [
        300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 850_000, 900_000, 950_000, 980_000,
        990_000, 1_000_000,
    ]

    /// The exits, in order.
    let exits: [ModelExit]
    /// By item and exit: the confidence and whether the exit is right.
    private var items: [[(confidence: Int, isRight: Bool)]] = []
    /// By item: whether the end of the model is right.
    private var ends: [Bool] = []

    init(_ exits: [ModelExit]) { self.exits = exits }

    /// How many items were noted.
    var count: Int { ends.count }

    /// Notes what the model said of an item.
    mutating func note(_ outputs: [KServe.Output], label: Int) throws {
        var seen: [(confidence: Int, isRight: Bool)] = []
        for exit in exits {
            guard let output = outputs.first(where: { $0.name == exit.output }) else {
                throw CommandFailure("the answer has no output \(Figures.printable(exit.output)).")
            }
            let bytes = ByteBuffer(bytes: output.array.bytes)
            seen.append(
                (
                    ExitConfidence.millionths(
                        of: bytes, type: output.array.type, measure: exit.measure),
                    Self.best(output) == label
                ))
        }
        let ends = outputs.filter { output in !exits.contains { $0.output == output.name } }
        guard ends.count == 1 else {
            throw CommandFailure("the exits do not stand for one other output of the model.")
        }
        items.append(seen)
        self.ends.append(Self.best(ends[0]) == label)
    }

    private static func best(_ output: KServe.Output) -> Int? {
        let values = ExitConfidence.values(
            of: ByteBuffer(bytes: output.array.bytes), type: output.array.type)
        return values.indices.max { values[$0] < values[$1] }
    }

    /// What each threshold does, ascending.
    var policies: [ExitPolicy] {
        Self.thresholds.map { threshold in
            var (counts, right) = (exits.map { _ in 0 }, 0)
            for (item, end) in zip(items, ends) {
                if let exit = item.firstIndex(where: { $0.confidence >= threshold }) {
                    counts[exit] += 1
                    right += item[exit].isRight ? 1 : 0
                } else {
                    right += end ? 1 : 0
                }
            }
            let all = max(count, 1)
            return ExitPolicy(
                threshold: threshold, accuracy: right * ModelExit.unit / all,
                shares: counts.map { $0 * ModelExit.unit / all })
        }
    }

    /// The lowest threshold with at least this accuracy, in millionths; nil if there is none.
    func lowest(accuracyMin: Int) -> ExitPolicy? {
        policies.first { $0.accuracy >= accuracyMin }
    }
}
