import Glibc
public import NIOCore
public import TesseraCore

/// How sure an exit's values are of an answer.
public enum ExitConfidence {
    /// The confidence in millionths; 0 for values that are no probabilities of several classes.
    ///
    /// - Parameters:
    ///   - bytes: One float for each class, least significant byte first.
    ///   - type: The type of the floats.
    ///   - measure: Which confidence.
    /// - Returns: From 0 to `ModelExit.unit`.
    public static func millionths(
        of bytes: ByteBuffer, type: ElementType, measure: ExitMeasure
    ) -> Int {
        let values = values(of: bytes, type: type)
        guard values.count > 1, values.allSatisfy(\.isFinite) else { return 0 }
        guard let probabilities = measure.takesLogits ? softmax(values) : normalized(values) else {
            return 0
        }
        let confidence: Double
        switch measure {
        case .maximum, .probabilityMaximum: confidence = probabilities.max() ?? 0
        case .margin, .probabilityMargin:
            var best = (0.0, 0.0)
            for value in probabilities {
                if value > best.0 { best = (value, best.0) } else { best.1 = max(best.1, value) }
            }
            confidence = best.0 - best.1
        case .entropy, .probabilityEntropy:
            let entropy = probabilities.reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) }
            confidence = 1 - entropy / log(Double(values.count))
        }
        return Int((min(max(confidence, 0), 1) * Double(ModelExit.unit)).rounded(.down))
    }

    private static func softmax(_ values: [Double]) -> [Double] {
        let most = values.max() ?? 0
        let powers = values.map { exp($0 - most) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    /// Values that add up to 1 but for rounding; nil if they are no probabilities.
    private static func normalized(_ values: [Double]) -> [Double]? {
        let sum = values.reduce(0, +)
        guard values.allSatisfy({ $0 >= 0 }), sum > 0 else { return nil }
        return values.map { $0 / sum }
    }

    /// The values of floats; none for other types.
    public static func values(of bytes: ByteBuffer, type: ElementType) -> [Double] {
        var bytes = bytes
        var values: [Double] = []
        let count = min(bytes.readableBytes / max(type.byteCount, 1), ModelOutline.exitValuesMax)
        values.reserveCapacity(count)
        for _ in 0..<count {
            switch type {
            case .float32:
                values.append(
                    Double(
                        Float(
                            bitPattern: bytes.readInteger(endianness: .little) ?? 0 as UInt32)))
            case .float64:
                values.append(
                    Double(bitPattern: bytes.readInteger(endianness: .little) ?? 0 as UInt64))
            case .float16:
                values.append(
                    Self.half(bytes.readInteger(endianness: .little) ?? 0 as UInt16))
            default: return []
            }
        }
        return values
    }

    /// The value of a 16-bit float.
    private static func half(_ bits: UInt16) -> Double {
        let exponent = Int(bits >> 10 & 0x1F)
        let fraction = Double(bits & 0x3FF)
        let size: Double =
            switch exponent {
            case 0: scalbn(fraction, -24)
            case 31: fraction == 0 ? .infinity : .nan
            default: scalbn(fraction + 1_024, exponent - 25)
            }
        return bits & 0x8000 == 0 ? size : -size
    }
}
