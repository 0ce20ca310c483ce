public import TesseraCore

extension BlobStore {
    /// Fills the weights buffer of a fragment, each blob read straight to its place and checked
    /// against its hash; gaps become zero.
    ///
    /// `blobs` are the outline's. Throws `corrupt` or `missing` with the first item that has to be
    /// fetched again; the buffer's content is then undefined.
    public func loadWeights(
        _ fragment: FragmentDescription, blobs: [ModelOutline.Blob],
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobStoreError) {
        guard buffer.count >= fragment.weightByteCount else {
            throw .smallBuffer(
                neededBytes: fragment.weightByteCount, givenBytes: buffer.count)
        }
        var filled = 0
        for constant in fragment.constants {
            let range = constant.offset..<(constant.offset + constant.byteCount)
            Self.clear(buffer, filled..<range.lowerBound)
            let place = UnsafeMutableRawBufferPointer(rebasing: buffer[range])
            switch constant.source {
            case .inline(let bytes): place.copyBytes(from: bytes)
            case .blob(let index): try load(.blob(blobs[index].id), into: place)
            }
            filled = range.upperBound
        }
        Self.clear(buffer, filled..<buffer.count)
    }

    private static func clear(_ buffer: UnsafeMutableRawBufferPointer, _ range: Range<Int>) {
        UnsafeMutableRawBufferPointer(rebasing: buffer[range])
            .initializeMemory(as: UInt8.self, repeating: 0)
    }
}
