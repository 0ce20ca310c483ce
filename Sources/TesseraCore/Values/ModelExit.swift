/// How sure an exit's values are of an answer: a number from 0 to 1, the greater the surer.
///
/// The first three take logits, of which they make probabilities first (softmax); the others take
/// probabilities as they are.
public enum ExitMeasure: UInt8, CaseIterable, Sendable {
    /// The largest probability.
    case maximum = 1
    /// The largest probability less the second largest.
    case margin
    /// One less the entropy of the probabilities over that of equal ones.
    case entropy
    /// As `maximum`, of probabilities.
    case probabilityMaximum
    /// As `margin`, of probabilities.
    case probabilityMargin
    /// As `entropy`, of probabilities.
    case probabilityEntropy

    /// What the measures are called.
    public static let names = ["max", "margin", "entropy", "pmax", "pmargin", "pentropy"]

    /// The name.
    public var name: String { Self.names[Int(rawValue) - 1] }

    /// Whether it takes logits.
    public var takesLogits: Bool { rawValue <= Self.entropy.rawValue }

    /// The measure of a name; nil if there is none.
    public init?(name: String) {
        guard let index = Self.names.firstIndex(of: name) else { return nil }
        self = Self.allCases[index]
    }
}

/// An output by which a request may be answered before all of the model was computed.
public struct ModelExit: Hashable, Sendable {
    /// Confidences, thresholds and shares are in millionths.
    public static let unit = 1_000_000
    /// A model has no more exits.
    public static let countMax = 16
    /// The longest name of an output.
    public static let nameBytesMax = 255
    /// The threshold of an exit for which nobody said another.
    public static let thresholdUsual = 900_000

    /// The name of the output.
    public var output: String
    /// How its confidence is measured.
    public var measure: ExitMeasure
    /// The least confidence in millionths with which it answers.
    public var threshold: Int
    /// The share of all requests, in millionths, that it is expected to answer; 0 if nobody said.
    public var share: Int

    /// Makes an exit.
    public init(
        output: String, measure: ExitMeasure = .maximum, threshold: Int = thresholdUsual,
        share: Int = 0
    ) {
        self.output = output
        self.measure = measure
        self.threshold = threshold
        self.share = share
    }
}

/// The share of requests that an exit answers.
public struct ExitShare: Hashable, Sendable {
    /// The operator that makes its output.
    public var producer: Int
    /// Of all requests, in millionths.
    public var share: Int

    /// Makes the share.
    public init(producer: Int, share: Int) {
        self.producer = producer
        self.share = share
    }
}

/// What a client says of early exits.
public enum ExitWish: Hashable, Sendable {
    /// As the model's settings say.
    case usual
    /// The whole model is to be computed.
    case none
    /// This threshold, in millionths, for every exit.
    case threshold(Int)
}

/// The exits of a model by the places of its outputs.
public struct ExitTable: Hashable, Sendable {
    /// One exit.
    public struct Exit: Hashable, Sendable {
        /// The place of its output among the model's.
        public var place: Int
        /// How its confidence is measured.
        public var measure: ExitMeasure
        /// The least confidence in millionths with which it answers.
        public var threshold: Int
    }

    /// The exits, in the order in which the model computes them.
    public var exits: [Exit]
    /// The place of the output that all of them stand for: the only one that is no exit.
    public var answer: Int

    /// The exits as a client wants them; nil if it wants none.
    public func wished(_ wish: ExitWish) -> ExitTable? {
        switch wish {
        case .usual: return self
        case .none: return nil
        case .threshold(let threshold):
            var result = self
            for index in exits.indices { result.exits[index].threshold = threshold }
            return result
        }
    }
}

/// What an entry saw of a request's exits, and which of them answered.
public struct ExitDetail: Hashable, Sendable {
    /// The place among the model's outputs of the exit that answered; nil if none did.
    public var taken: Int?
    /// The place of the output that the exits stand for.
    public var answer: Int
    /// The exits that were looked at, by the places of their outputs, with their confidences in
    /// millionths.
    public var seen: [Seen]

    /// One exit that was looked at.
    public struct Seen: Hashable, Sendable {
        /// The place of its output.
        public var place: Int
        /// The confidence in millionths.
        public var confidence: Int

        /// Makes the note.
        public init(place: Int, confidence: Int) {
            self.place = place
            self.confidence = confidence
        }
    }

    /// Makes the detail.
    public init(taken: Int?, answer: Int, seen: [Seen]) {
        self.taken = taken
        self.answer = answer
        self.seen = seen
    }
}

extension ModelOutline {
    /// An exit's values are so many at most: the entry looks at all of them.
    public static let exitValuesMax = 65_536

    /// The exits by places; nil if there are none, or they do not fit the model.
    public func exitTable(_ exits: [ModelExit]) -> ExitTable? {
        guard !exits.isEmpty, fault(of: exits) == nil, let answer = answer(beside: exits) else {
            return nil
        }
        let found = exits.compactMap { exit in
            place(ofOutput: exit.output).map {
                ExitTable.Exit(place: $0, measure: exit.measure, threshold: exit.threshold)
            }
        }
        return ExitTable(exits: found, answer: answer)
    }

    /// The shares of requests that exits answer, as counted or else as the settings expect.
    ///
    /// - Parameters:
    ///   - exits: The exits.
    ///   - counts: By the exits' numbers how many requests each answered; the number behind the last
    ///     one is that of the whole model.
    /// - Returns: The exits that answer any, in order.
    public func exitShares(_ exits: [ModelExit], counts: [Int: Int]) -> [ExitShare] {
        guard let table = exitTable(exits) else { return [] }
        let total = (0...exits.count).reduce(0) { $0 + (counts[$1] ?? 0) }
        let isCounted = total >= Self.exitCountsMin
        return zip(table.exits, exits).enumerated().compactMap { number, pair in
            guard let producer = tensors[outputs[pair.0.place]].producer else { return nil }
            let share =
                isCounted
                ? Int(Int64(counts[number] ?? 0) * Int64(ModelExit.unit) / Int64(total))
                : pair.1.share
            return ExitShare(producer: producer, share: share)
        }.filter { $0.share > 0 }
    }

    /// Fewer answers say little of shares.
    public static let exitCountsMin = 200

    private func place(ofOutput name: String) -> Int? {
        outputs.firstIndex { tensors[$0].descriptor.name == name }
    }

    /// The place of the only output that is no exit.
    private func answer(beside exits: [ModelExit]) -> Int? {
        let others = outputs.indices.filter { place in
            !exits.contains { $0.output == tensors[outputs[place]].descriptor.name }
        }
        return others.count == 1 ? others[0] : nil
    }

    /// Why some exits do not fit the model; nil if they do.
    public func fault(of exits: [ModelExit]) -> String? {
        if exits.isEmpty { return nil }
        guard exits.count <= ModelExit.countMax else {
            return "a model has at most \(ModelExit.countMax) exits"
        }
        var last = -1
        for (index, exit) in exits.enumerated() {
            guard let place = place(ofOutput: exit.output) else {
                let names = outputs.map { tensors[$0].descriptor.name }
                return "the model has no output \(exit.output); it has "
                    + names.joined(separator: ", ")
            }
            guard !exits[..<index].contains(where: { $0.output == exit.output }) else {
                return "\(exit.output) is an exit twice"
            }
            guard (0...ModelExit.unit).contains(exit.threshold) else {
                return "the threshold of \(exit.output) is not from 0 to 1"
            }
            guard let producer = tensors[outputs[place]].producer else {
                return "\(exit.output) is an input of the model"
            }
            guard producer >= last else {
                return "\(exit.output) is computed before the exit that is named before it"
            }
            last = producer
        }
        guard let answer = answer(beside: exits) else {
            return "exits stand for the one output that is no exit, and "
                + "\(outputs.count - exits.count) outputs are none"
        }
        let final = tensors[outputs[answer]]
        guard (final.producer ?? -1) >= last else {
            return "\(final.descriptor.name), which the exits stand for, is computed before them"
        }
        for exit in exits {
            guard let place = place(ofOutput: exit.output) else { continue }
            let own = tensors[outputs[place]].descriptor
            guard own.type == final.descriptor.type, own.shape == final.descriptor.shape else {
                return "\(exit.output) has type and shape \(own.type) \(own.shape), and "
                    + "\(final.descriptor.name), for which it stands, \(final.descriptor.type) "
                    + "\(final.descriptor.shape)"
            }
            let count = own.shape.reduce(1, *)
            guard [.float16, .float32, .float64].contains(own.type),
                (2...Self.exitValuesMax).contains(count), own.shape.contains(count)
            else {
                return "\(exit.output) is no list of 2 to \(Self.exitValuesMax) floats, one for "
                    + "each class: it is \(own.type) \(own.shape)"
            }
        }
        return nil
    }
}
