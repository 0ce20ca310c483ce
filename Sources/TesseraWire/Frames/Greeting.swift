public import TesseraCore

/// What a connection is for.
public enum ConnectionPurpose: UInt8, CaseIterable, Sendable {
    /// Messages.
    case control = 1
    /// Slices and blobs.
    case data
}

/// What each end says of itself before anything else.
public struct Greeting: Hashable, Sendable {
    /// The versions that the end speaks.
    public var versions: WireVersions
    /// Tells meshes apart; reveals nothing of the secret.
    public var meshTag: String
    /// The end's node and run.
    ///
    /// TLS proves the node; see `Docs/Protocol.md`.
    public var member: NodeBoot
    /// The port on which the end listens.
    public var listenPort: UInt16
    /// What the connection is for.
    ///
    /// The dialling end says it and the other one repeats it.
    public var purpose: ConnectionPurpose
    /// The node's name, for people.
    public var name: String
    /// What the node's release calls itself, for people; nil if it does not tell.
    public var release: String?

    /// Makes a greeting.
    public init(
        versions: WireVersions = .supported, meshTag: String, member: NodeBoot,
        listenPort: UInt16, purpose: ConnectionPurpose, name: String, release: String? = nil
    ) {
        self.versions = versions
        self.meshTag = meshTag
        self.member = member
        self.listenPort = listenPort
        self.purpose = purpose
        self.name = name
        self.release = release
    }
}

extension Greeting: WireValue {
    /// Versions, mesh tag (text), member, listen port (2 bytes, not 0), purpose (1 byte), name
    /// (text), release (text), which ends that know version 3 append.
    package func encode(into writer: inout WireWriter) {
        writer.write(versions)
        writer.write(text: meshTag, "mesh tag", max: WireLimits.tagBytesMax)
        writer.write(member)
        if listenPort == 0 { writer.note(.invalidValue(what: "listen port")) }
        writer.write(listenPort)
        writer.write(purpose)
        writer.write(text: name, "node name", max: WireLimits.nameBytesMax)
        if let release {
            writer.write(text: release, "release", max: WireLimits.releaseBytesMax)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            versions: try reader.read(),
            meshTag: try reader.readText("mesh tag", max: WireLimits.tagBytesMax),
            member: try reader.read(), listenPort: try reader.read("listen port"),
            purpose: try reader.readChoice("purpose"),
            name: try reader.readText("node name", max: WireLimits.nameBytesMax))
        if listenPort == 0 { throw .invalidValue(what: "listen port") }
        // Ends of versions 1 and 2 say nothing more.
        guard reader.remainingBytes > 0 else { return }
        release = try reader.readText("release", max: WireLimits.releaseBytesMax)
    }
}

/// The listening end's answer to a hello.
public struct Welcome: Hashable, Sendable {
    /// The version that all frames after this one have.
    public var version: UInt16
    /// Who answers.
    public var greeting: Greeting

    /// Makes a welcome.
    public init(version: UInt16, greeting: Greeting) {
        self.version = version
        self.greeting = greeting
    }
}

extension Welcome: WireValue {
    /// Version (2 bytes, within the greeting's versions), greeting.
    package func encode(into writer: inout WireWriter) {
        if !greeting.versions.contains(version) { writer.note(.unknownVersion(version)) }
        writer.write(version)
        writer.write(greeting)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(version: try reader.read("version"), greeting: try reader.read())
        guard greeting.versions.contains(version) else { throw .unknownVersion(version) }
    }
}

/// The last frame of an end that closes on purpose.
public struct Goodbye: Hashable, Sendable {
    /// Why an end closes a connection.
    public enum Reason: UInt8, CaseIterable, Sendable {
        /// A reason that a later version added, or none of the others.
        case other = 0
        /// The node is leaving the mesh.
        case leaving
        /// The ends share no version.
        case incompatibleVersion
        /// The mesh tag is another one.
        case otherMesh
        /// There is a connection of this purpose between the two runs already.
        case duplicate
        /// A node dialled itself.
        case ownNode
        /// The other end broke the protocol.
        case protocolError
        /// The other end said nothing for too long.
        case timeout
        /// This end has too many connections.
        case overloaded
        /// A newer run of the other end is known.
        case staleBoot
    }

    /// Why.
    public var reason: Reason
    /// The same for people, with figures.
    public var detail: String

    /// Makes a goodbye.
    public init(_ reason: Reason, detail: String = "") {
        self.reason = reason
        self.detail = detail
    }
}

extension Goodbye: WireValue {
    /// Reason (1 byte), detail (text).
    package func encode(into writer: inout WireWriter) {
        writer.write(reason)
        writer.write(reason: detail)
    }

    /// Reads that layout; a reason that is not known here is `other`.
    package init(from reader: inout WireReader) throws(WireError) {
        let number = try reader.read("goodbye", as: UInt8.self)
        self.init(Reason(rawValue: number) ?? .other, detail: try reader.readReason())
    }
}
