import NIOCore
import TesseraCore

/// The items that a model is calibrated with, by the outline's tensors.
enum CalibrationInputs {
    /// More items make figures no better, and take hours.
    static let itemsMax = 10_000

    /// Reads the items of a file.
    static func items(
        of file: [UInt8], path: String, outline: ModelOutline
    ) throws -> [[Int: ByteBuffer]] {
        let arrays: [(name: String, array: NpyArray)]
        do {
            if file.starts(with: [0x50, 0x4B]) {
                arrays = try NpzFile.arrays(in: file)
            } else {
                let name = outline.inputs.first.map { outline.tensors[$0].descriptor.name }
                arrays = [(name ?? "", try NpyArray(file: file))]
            }
        } catch {
            throw CommandFailure("the calibration file \(path) cannot be used: \(error).")
        }
        var items: [[Int: ByteBuffer]] = []
        for (place, input) in outline.inputs.enumerated() {
            let descriptor = outline.tensors[input].descriptor
            guard let array = arrays.first(where: { $0.name == descriptor.name })?.array else {
                throw CommandFailure(
                    "\(path) has no array '\(descriptor.name)'; it has "
                        + arrays.map(\.name).joined(separator: ", ")
                        + ". Save one for each input: numpy.savez(file, \(descriptor.name)=…).",
                    code: .usage)
            }
            let count = try itemCount(of: array, descriptor: descriptor, path: path)
            if place == 0 { items = Array(repeating: [:], count: count) }
            guard count == items.count else {
                throw CommandFailure(
                    "\(path) has \(count) items of '\(descriptor.name)' and \(items.count) of the "
                        + "inputs before it.", code: .usage)
            }
            for item in 0..<count {
                let start = array.bytes.startIndex + item * descriptor.byteCount
                items[item][input] = ByteBuffer(
                    bytes: array.bytes[start..<(start + descriptor.byteCount)])
            }
        }
        guard (1...itemsMax).contains(items.count) else {
            throw CommandFailure(
                "\(path) has \(items.count) items; from 1 to \(itemsMax) are measured.",
                code: .usage)
        }
        return items
    }

    private static func itemCount(
        of array: NpyArray, descriptor: TensorDescriptor, path: String
    ) throws -> Int {
        let isSameType =
            array.type == descriptor.type
            || descriptor.type == .bfloat16 && array.type == .uint16
        if isSameType, array.shape == descriptor.shape { return 1 }
        guard isSameType, descriptor.shape.first == 1,
            array.shape.count == descriptor.shape.count,
            array.shape.dropFirst() == descriptor.shape.dropFirst(), let count = array.shape.first
        else {
            throw CommandFailure(
                "input '\(descriptor.name)' takes \(NpyArray.name(of: descriptor.type)) of shape "
                    + "\(descriptor.shape), or more items along the first axis; \(path) has "
                    + "\(NpyArray.name(of: array.type)) of shape \(array.shape).", code: .usage)
        }
        return count
    }
}
