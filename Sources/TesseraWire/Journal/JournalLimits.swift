/// The limits of a journal, with their reasons.
package enum JournalLimits {
    /// Bytes of a text: its length is 2 bytes; reasons of failures are the longest ones.
    package static let textBytesMax = Int(UInt16.max)
    /// Operators, tensors or blobs of a model.
    package static let partsMax = WireLimits.modelPartsMax
    /// Bytes of one record: an outline of the largest model beside the largest message.
    package static let recordBytesMax = 256 << 20
    /// Bytes of a journal: some days of an idle agent, or an hour of a busy one.
    ///
    /// It ends there, since only from its beginning can it be replayed.
    package static let journalBytesMax = 1 << 30
}
