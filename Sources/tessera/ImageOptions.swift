import ArgumentParser
import TesseraCore

/// How an image becomes a model's input, as options of `tessera model add`.
struct ImageOptions: ParsableArguments {
    @Option(
        name: .customLong("image"),
        help: ArgumentHelp(
            "The model takes images, with channels in this order: rgb, bgr or grey.",
            valueName: "channels"))
    var channels: String?

    @Option(
        name: .customLong("image-layout"),
        help: ArgumentHelp(
            "Where the channels stand in the input's shape: nchw or nhwc. Default: what fits.",
            valueName: "layout"))
    var layout: String?

    @Option(
        name: .customLong("image-fit"),
        help: ArgumentHelp(
            "What happens to another aspect ratio: stretch, or crop to the middle.",
            valueName: "fit"))
    var fit = "stretch"

    @Option(
        name: .customLong("image-mean"),
        help: ArgumentHelp(
            "What is taken off values from 0 to 255: one number, or one for each channel.",
            valueName: "123.7,116.3,103.5"))
    var mean = "0"

    @Option(
        name: .customLong("image-scale"),
        help: ArgumentHelp(
            "What the rest is divided by: one number, or one for each channel.",
            valueName: "58.4,57.1,57.4"))
    var scale = "1"

    @Option(
        name: .customLong("image-scores"),
        help: ArgumentHelp(
            "What the output is: logits, of which the softmax is taken, or probabilities.",
            valueName: "scores"))
    var scores = "logits"

    @Flag(
        name: .customLong("preprocess"),
        help: """
            Make mean and scale a part of the model: its input then takes bytes, a quarter of what \
            floats are on the way. Needs --image; of a model for nhwc also --image-layout.
            """)
    var isBuiltIn = false

    @Option(
        help: ArgumentHelp(
            "A text file with the name of a class in each line.", valueName: "file"))
    var labels: String?

    func validate() throws {
        guard channels != nil else {
            guard
                layout == nil, labels == nil, !isBuiltIn, mean == "0", scale == "1",
                fit == "stretch",
                scores == "logits"
            else {
                throw ValidationError("what is said of images needs --image rgb, bgr or grey.")
            }
            return
        }
        _ = try description(labels: [], inputShape: nil)
    }

    /// What becomes a part of the graph; nil if nothing does.
    func builtIn() throws -> ImageInput? {
        isBuiltIn ? try description(labels: [], inputShape: nil) : nil
    }

    /// What the options say of a model whose input has this shape; nil if they say nothing.
    func input(shape: [Int]) throws -> ImageInput? {
        var input = try description(labels: try readLabels(), inputShape: shape)
        if isBuiltIn, let count = input?.channels.count {
            // The model does that itself.
            input?.mean = [Float](repeating: 0, count: count)
            input?.scale = [Float](repeating: 1, count: count)
        }
        return input
    }

    private func description(labels: [String], inputShape: [Int]?) throws -> ImageInput? {
        guard let text = channels else { return nil }
        let channels: ImageInput.Channels = try choice(text, "--image")
        var layout = ImageInput.Layout.nchw
        if let text = self.layout {
            layout = try choice(text, "--image-layout")
        } else if let shape = inputShape, shape.count == 4, shape[1] != channels.count,
            shape[3] == channels.count
        {
            layout = .nhwc
        }
        return ImageInput(
            channels: channels, layout: layout, fit: try choice(fit, "--image-fit"),
            mean: try numbers(mean, channels.count, "--image-mean"),
            scale: try numbers(scale, channels.count, "--image-scale"),
            scores: try choice(scores, "--image-scores"), labels: labels)
    }

    private func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ text: String, _ option: String
    ) throws -> Choice {
        guard let choice = Choice(rawValue: text) else {
            let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is not a value of \(option); it is one of \(names).")
        }
        return choice
    }

    private func numbers(_ text: String, _ count: Int, _ option: String) throws -> [Float] {
        let values = text.split(separator: ",", omittingEmptySubsequences: false).map { Float($0) }
        let numbers = values.compactMap { $0 }
        guard numbers.count == values.count, numbers.allSatisfy(\.isFinite),
            numbers.count == 1 || numbers.count == count,
            option != "--image-scale" || numbers.allSatisfy({ $0 > 0 })
        else {
            throw ValidationError(
                "\(option) takes one number or \(count), with commas between them"
                    + (option == "--image-scale" ? ", each above 0." : "."))
        }
        return numbers.count == 1 ? Array(repeating: numbers[0], count: count) : numbers
    }

    private func readLabels() throws -> [String] {
        guard let path = labels else { return [] }
        let bytes = try Files.read(
            path, bytesMax: ImageInput.labelsBytesMax, what: "the labels file")
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("The labels file \(path) is not text in UTF-8.", code: .usage)
        }
        var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        if lines.last?.isEmpty ?? false { lines.removeLast() }
        return lines.map { String($0.trimmingPrefix(while: \.isWhitespace)) }
    }
}
