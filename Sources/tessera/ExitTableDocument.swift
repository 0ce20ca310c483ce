import TesseraCore

/// Exits and what thresholds for them do, as a file: written by `tessera model exits`, read by
/// `tessera plan --exits` (Docs/Exits.md).
struct ExitTableDocument: Encodable {
    /// An exit.
    struct Exit: Encodable {
        var output: String
    }

    /// What a threshold does.
    struct Row: Encodable {
        var threshold: Double
        var accuracy: Double
        var shares: [Double]
    }

    var exits: [Exit]
    var thresholds: [Row]

    init(_ calibration: ExitCalibration) {
        func share(_ millionths: Int) -> Double { Double(millionths) / Double(ModelExit.unit) }
        exits = calibration.exits.map { Exit(output: $0.output) }
        thresholds = calibration.policies.map {
            Row(
                threshold: share($0.threshold), accuracy: share($0.accuracy),
                shares: $0.shares.map(share))
        }
    }
}

/// Such a file as it is read.
struct ExitTableFile {
    /// An exit: an output of a model, or a place behind some layers of a profile.
    struct Exit {
        var output: String?
        var layers: Int?
        var bytes: Int?
    }

    /// More thresholds say nothing new.
    private static let rowsMax = 1_000

    let exits: [Exit]
    let policies: [ExitPolicy]

    init(path: String) throws {
        let document = try DocumentField.document(at: path, what: "the table of exits")
        let members = try document.members(["exits", "thresholds"])
        exits = try members.required("exits").list(atMost: ModelExit.countMax).map { element in
            let members = try element.members(["output", "after_layers", "output_bytes"])
            return Exit(
                output: try members.optional("output")?.text(),
                layers: try members.optional("after_layers")?.whole(
                    from: 1, to: PlanSpace.piecesMax, unit: "layers"),
                bytes: try members.optional("output_bytes")?.whole(unit: "bytes"))
        }
        let count = exits.count
        policies = try members.required("thresholds").list(atMost: Self.rowsMax).map { element in
            let members = try element.members(["threshold", "accuracy", "shares"])
            func millionths(_ field: DocumentField) throws -> Int {
                Int((try field.number(to: 1, unit: "of 1") * Double(ModelExit.unit)).rounded())
            }
            let shares = try members.required("shares").list(atMost: count).map(millionths)
            guard shares.count == count, shares.reduce(0, +) <= ModelExit.unit else {
                throw element.failure(
                    "shares are one for each exit and at most 1 together")
            }
            return ExitPolicy(
                threshold: try millionths(members.required("threshold")),
                accuracy: try millionths(members.required("accuracy")), shares: shares)
        }
    }

    /// The exits by positions of a profile's space.
    func exits(of space: PlanSpace) throws -> [ExitSearch.Exit] {
        try ordered(
            exits.map { exit in
                guard let layers = exit.layers, layers < space.end, let bytes = exit.bytes else {
                    throw CommandFailure(
                        "an exit of a profile has after_layers, from 1 to \(space.end - 1), and "
                            + "output_bytes.", code: .usage)
                }
                return ExitSearch.Exit(position: layers, bytes: bytes)
            })
    }

    /// The exits by positions of a model's space.
    func exits(of outline: ModelOutline, positions: [Int]) throws -> [ExitSearch.Exit] {
        try ordered(
            exits.map { exit in
                let tensor = outline.outputs.first {
                    outline.tensors[$0].descriptor.name == exit.output
                }
                guard let tensor, let producer = outline.tensors[tensor].producer,
                    let position = positions.firstIndex(where: { $0 > producer })
                else {
                    throw CommandFailure(
                        "the model has no output \(Figures.printable(exit.output ?? "")).",
                        code: .usage)
                }
                return ExitSearch.Exit(
                    position: position, bytes: outline.tensors[tensor].descriptor.byteCount)
            })
    }

    private func ordered(_ exits: [ExitSearch.Exit]) throws -> [ExitSearch.Exit] {
        guard zip(exits, exits.dropFirst()).allSatisfy({ $0.position <= $1.position }) else {
            throw CommandFailure("exits are named in the order of the model.", code: .usage)
        }
        return exits
    }
}
