/// What this build of Tessera calls itself.
public enum Version {
    /// The version of the agent and the command line.
    public static let current = "0.1.0"
    /// The version of the protocol between agents; see `Docs/Protocol.md`.
    public static let wireProtocol: UInt16 = 3
    /// The version of datagrams and of what mDNS announces: their form, and all that travels in
    /// them, is the same in every version of the protocol so far.
    public static let datagrams: UInt16 = 1
}
