import TesseraCore

extension ImageInput {
    /// Appends the description as it stands in a manifest.
    func write(to writer: inout ManifestWriter) {
        func byte<Choice: CaseIterable & Equatable>(_ choice: Choice) -> UInt8 {
            UInt8(Choice.allCases.enumerated().first { $0.element == choice }?.offset ?? 0)
        }
        writer.bytes += [byte(channels), byte(layout), byte(fit), byte(scores)]
        for value in mean + scale {
            let bits = value.bitPattern
            for shift in [0, 8, 16, 24] {
                writer.bytes.append(UInt8(truncatingIfNeeded: bits >> shift))
            }
        }
        writer.number(labels.count)
        for label in labels { writer.text(label) }
    }

    /// Reads the description out of a manifest.
    init(from reader: inout ManifestReader) throws(ModelError) {
        func choice<Choice: CaseIterable>(
            _ kind: Choice.Type, _ reader: inout ManifestReader
        ) throws(ModelError) -> Choice {
            let number = Int(try reader.byte())
            guard let choice = Choice.allCases.dropFirst(number).first else {
                throw reader.fail("how an image becomes the input is unknown")
            }
            return choice
        }
        func numbers(
            _ count: Int, _ reader: inout ManifestReader
        ) throws(ModelError) -> [Float] {
            var result: [Float] = []
            for _ in 0..<count {
                let bits = try reader.take(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                result.append(Float(bitPattern: bits))
            }
            return result
        }
        let channels = try choice(Channels.self, &reader)
        let layout = try choice(Layout.self, &reader)
        let fit = try choice(Fit.self, &reader)
        let scores = try choice(Scores.self, &reader)
        let mean = try numbers(channels.count, &reader)
        let scale = try numbers(channels.count, &reader)
        var labels: [String] = []
        for _ in 0..<(try reader.count(Self.labelsMax, "labels")) {
            labels.append(try reader.text(Self.labelBytesMax))
        }
        self.init(
            channels: channels, layout: layout, fit: fit, mean: mean, scale: scale, scores: scores,
            labels: labels)
        if let fault { throw reader.fail(fault) }
    }
}
