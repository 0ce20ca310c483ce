/// Why bytes are not what they claim to be, or why a value must not be sent.
///
/// `what` names the field in words of the protocol (Docs/Protocol.md). The receiver of such bytes
/// counts them and closes the connection, or drops the datagram; it never guesses.
public enum WireError: Error, Hashable, Sendable {
    /// The bytes end inside a field.
    case truncated(what: String)
    /// The value is complete and bytes are left over.
    case trailingBytes(count: Int)
    /// A count, a length or a number is above its limit.
    case limitExceeded(what: String, max: Int)
    /// The bytes are no legal form of the field.
    case invalidValue(what: String)
    /// A list that must ascend does not, or holds a double.
    case notAscending(what: String)
    /// A list that must not hold doubles does.
    case duplicate(what: String)
    /// The public key of a record does not hash to the record's node.
    case keyMismatch

    /// The bytes do not begin a frame or a datagram of Tessera.
    case badMagic
    /// The checksum of a frame header is wrong: the two ends lost step.
    case badChecksum
    /// The peer speaks a version that this build does not, or another one than was agreed.
    case unknownVersion(UInt16)
    /// A frame kind that the agreed version does not have.
    case unknownFrameKind(UInt8)
    /// Flags that the agreed version does not have.
    case unknownFlags(UInt8)
    /// A frame that is not allowed at this point of the conversation.
    case unexpectedFrame(String)
    /// A chunk for a slice that was not begun, or is complete.
    case unknownStream(UInt32)

    /// The datagram is sealed for another purpose.
    case otherPurpose
    /// The datagram is sealed with another generation of the mesh's keys.
    case otherGeneration(UInt32)
    /// The datagram is for another node, or for another run of this one.
    case otherReceiver
    /// The datagram is this node's own, come back.
    case ownDatagram
    /// The datagram is not from this mesh, or was changed on its way.
    case notAuthentic
    /// The datagram was received before, or is too old to tell.
    case replayed
}

extension WireError: CustomStringConvertible {
    /// What is wrong, for logs.
    public var description: String {
        switch self {
        case .truncated(let what): "the bytes end inside \(what)"
        case .trailingBytes(let count): "\(count) bytes follow the end of the value"
        case .limitExceeded(let what, let max): "\(what) is above its limit of \(max)"
        case .invalidValue(let what): "\(what) has no legal value"
        case .notAscending(let what): "\(what) is not in strictly ascending order"
        case .duplicate(let what): "\(what) holds a double"
        case .keyMismatch: "the public key of a record is not the one of its node"
        case .badMagic: "the bytes are not Tessera's"
        case .badChecksum: "the checksum of a frame header is wrong"
        case .unknownVersion(let version): "protocol version \(version) is not spoken here"
        case .unknownFrameKind(let kind): "frame kind \(kind) is not known"
        case .unknownFlags(let flags): "flags \(flags) are not known"
        case .unexpectedFrame(let name): "a frame \(name) is not allowed at this point"
        case .unknownStream(let stream): "no slice is open under stream \(stream)"
        case .otherPurpose: "the datagram is for another purpose"
        case .otherGeneration(let generation): "the datagram is of key generation \(generation)"
        case .otherReceiver: "the datagram is for another node or another run of this one"
        case .ownDatagram: "the datagram is this node's own"
        case .notAuthentic: "the datagram is not from this mesh"
        case .replayed: "the datagram was received before"
        }
    }
}
