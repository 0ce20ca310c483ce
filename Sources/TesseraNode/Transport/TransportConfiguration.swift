public import Logging
public import TesseraCore
public import TesseraWire

/// What a transport needs to know at its start.
public struct TransportConfiguration: Sendable {
    /// Numeric address and port to listen on; port 0 takes a free one.
    public var listen: Address
    /// Who this node is.
    public var identity: NodeIdentity
    /// The node's name, for people.
    public var name: String
    /// The mesh's keys.
    public var keyring: MeshKeyring
    /// Bytes of slices that may be arriving at once from all peers together.
    public var incomingSliceBytesMax: Int
    /// Whether tensors are encrypted.
    ///
    /// Off is for benchmarks: both sides must have it off, else the data connection is encrypted
    /// all the same.
    public var dataEncryption: Bool
    /// Peers with a session at most.
    var sessionsMax = TransportLimits.sessionsMax
    /// The versions of the protocol that it speaks.
    public var versions = WireVersions.supported
    /// What this release calls itself.
    public var release = Version.current
    /// What this node's clock shows, in microseconds since 1970.
    var timeOfDayMicroseconds: @Sendable () -> Int64 = { TimeOfDay.microseconds }
    /// Where the transport writes what it does.
    public var logger: Logger

    /// Makes a configuration.
    public init(
        listen: Address, identity: NodeIdentity, name: String, keyring: MeshKeyring,
        incomingSliceBytesMax: Int, dataEncryption: Bool = true, logger: Logger
    ) {
        self.listen = listen
        self.identity = identity
        self.name = name
        self.keyring = keyring
        self.incomingSliceBytesMax = incomingSliceBytesMax
        self.dataEncryption = dataEncryption
        self.logger = logger
    }
}

/// Why a transport cannot start.
public enum TransportError: Error, Hashable, Sendable {
    /// The address to listen on is not a numeric one of this machine.
    case badAddress(Address, reason: String)
    /// Another program has the port.
    case portInUse(Address)
    /// No port number was free for TCP and UDP at once.
    case noPortFree
    /// The system refused.
    case system(String, errorNumber: Int32, reason: String)
    /// The certificates could not be made.
    case certificates(String)
}

extension TransportError: CustomStringConvertible {
    /// What happened and what to do.
    public var description: String {
        switch self {
        case .badAddress(let address, let reason):
            "Cannot listen on \(address): \(reason). Use a numeric address of this machine, or "
                + "0.0.0.0 for all of them."
        case .portInUse(let address):
            "Cannot listen on \(address): another program uses port \(address.port) (TCP or UDP). "
                + "Stop it, or choose another port with --listen."
        case .noPortFree:
            "No port is free for TCP and UDP at once. Choose one with --listen."
        case .system(let call, _, let reason):
            "The system refused \(call): \(reason)."
        case .certificates(let reason):
            "The node's certificates could not be made: \(reason)."
        }
    }
}
