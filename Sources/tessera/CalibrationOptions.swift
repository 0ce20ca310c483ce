import ArgumentParser
import TesseraCore
import TesseraModel

/// What packing may change of a model's answers, as options.
struct CalibrationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Inputs to measure with what packing for slow links does to the answers: a .npz file with \
            an array for each input, or a .npy file for a model with one; items along the first axis.
            """, valueName: "file"))
    var calibrate: String?

    @Option(
        help: ArgumentHelp(
            """
            What the answers may lose by packing, such as 0.5%. Default: 0%, so that only what is \
            the same bit for bit is used.
            """, valueName: "percent"), transform: Self.perMillion)
    var maxDrop: Int?

    @Option(
        help: ArgumentHelp(
            """
            How answers are compared: top-class (the part of the items with another best class) or \
            relative-error (the greatest difference over the range of the values). Default: top-class \
            for one output of shape 1,N, else relative-error.
            """, valueName: "measure"), transform: Self.measure)
    var compare: CodecAllowance.Measure?

    func validate() throws {
        if calibrate == nil, maxDrop != nil || compare != nil {
            throw ValidationError("--max-drop and --compare need --calibrate FILE.")
        }
    }

    /// What was measured of a model; nil if nothing was asked for.
    func measured(_ model: ModelImport) async throws -> CodecAllowance? {
        guard let calibrate else { return nil }
        let bytes = try Files.read(
            calibrate, bytesMax: Self.fileBytesMax, what: "the calibration file")
        let (path, most, wanted) = (calibrate, maxDrop ?? 0, compare)
        let result = try await Blocking.run {
            let cutter = try ModelCutter(model.manifest)
            let items = try CalibrationInputs.items(
                of: bytes, path: path, outline: cutter.outline)
            return try Calibration(
                model: model, cutter: cutter, items: items,
                measure: wanted ?? Calibration.measure(of: cutter.outline)
            ).run(maxDropPerMillion: most)
        }
        Console.message(Self.summary(result))
        return result
    }

    /// What a person wants to know of it.
    static func summary(_ allowance: CodecAllowance) -> String {
        var counts: [String] = []
        for codec in Codec.allCases where codec.isLossy {
            let count = allowance.tensors.count {
                $0.tried.contains { $0.codec == codec && $0.isAllowed }
            }
            if count > 0 { counts.append("\(codec) at \(count)") }
        }
        let lossy = counts.isEmpty ? "none with loss" : counts.joined(separator: ", ")
        return "measured \(allowance.tensors.count) tensors with \(allowance.itemCount) items: "
            + "lossless everywhere, \(lossy); with all of them at once the answers lose "
            + "\(percent(allowance.dropPerMillion)) (\(allowance.measure)) of the allowed "
            + percent(allowance.maxDropPerMillion)
    }

    /// Millionths as a percentage.
    static func percent(_ perMillion: Int) -> String {
        let (whole, rest) = perMillion.quotientAndRemainder(dividingBy: 10_000)
        guard rest > 0 else { return "\(whole)%" }
        var digits = String(rest + 10_000).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)%"
    }

    /// Calibration takes some hundred items; more bytes than this are a mistake.
    private static let fileBytesMax = 4 << 30

    private static func perMillion(_ text: String) throws -> Int {
        let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
        guard let value = Double(digits), (0...100).contains(value) else {
            throw ValidationError("'\(text)' is not a percentage from 0% to 100%, such as 0.5%.")
        }
        return Int((value * 10_000).rounded())
    }

    private static func measure(_ text: String) throws -> CodecAllowance.Measure {
        guard let found = CodecAllowance.Measure.allCases.first(where: { "\($0)" == text }) else {
            let known = CodecAllowance.Measure.allCases.map { "\($0)" }.joined(separator: ", ")
            throw ValidationError("'\(text)' is no measure; known are \(known).")
        }
        return found
    }
}
