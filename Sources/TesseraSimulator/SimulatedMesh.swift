public import TesseraCore

/// The devices and links of a simulated mesh, later joiners included.
public struct SimulatedMesh: Hashable, Sendable {
    /// A device.
    public struct Device: Hashable, Sendable {
        /// For people.
        public var name: String
        /// Arithmetic operations per microsecond.
        public var operationsPerMicrosecond: UInt64
        /// Bytes per microsecond that its memory moves.
        public var movedBytesPerMicrosecond: UInt64
        /// Bytes that fragments may take.
        public var memoryBytes: Int

        /// Makes a device.
        public init(
            name: String, operationsPerMicrosecond: UInt64, movedBytesPerMicrosecond: UInt64,
            memoryBytes: Int
        ) {
            self.name = name
            self.operationsPerMicrosecond = operationsPerMicrosecond
            self.movedBytesPerMicrosecond = movedBytesPerMicrosecond
            self.memoryBytes = memoryBytes
        }
    }

    /// A link, one way.
    public struct Link: Hashable, Sendable {
        /// Its rate.
        public var bitsPerSecond: Int
        /// The time that the first byte takes at least.
        public var latency: TimeSpan

        /// Makes a link.
        public init(bitsPerSecond: Int, latency: TimeSpan) {
            self.bitsPerSecond = bitsPerSecond
            self.latency = latency
        }

        /// The time that so many bytes take to pass.
        func transfer(_ byteCount: Int) -> TimeSpan { Self.transfer(byteCount, bitsPerSecond) }

        /// The time that so many bytes take at a rate.
        static func transfer(_ byteCount: Int, _ bitsPerSecond: Int) -> TimeSpan {
            TimeSpan(
                nanoseconds: Int64(byteCount) * 8_000_000 / Int64(max(bitsPerSecond / 1_000, 1)))
        }
    }

    /// The devices.
    public var devices: [Device]
    /// The links, row by row of the source.
    public var links: [Link]
    /// The rate of a medium that all links share, if there is one.
    public var mediumBitsPerSecond: Int?
    /// The device where requests come in; nil if they come in everywhere.
    public var entry: Int?

    /// Makes a mesh.
    public init(
        devices: [Device], links: [Link], mediumBitsPerSecond: Int? = nil, entry: Int? = nil
    ) {
        invariant(
            links.count == devices.count * devices.count,
            "\(devices.count) devices have \(links.count) links")
        self.devices = devices
        self.links = links
        self.mediumBitsPerSecond = mediumBitsPerSecond
        self.entry = entry
    }

    /// Equal devices on equal links.
    public static func equal(
        _ count: Int, device: Device, link: Link
    ) -> SimulatedMesh {
        SimulatedMesh(
            devices: (0..<count).map { index in
                var device = device
                device.name = "node-\(index)"
                return device
            }, links: .init(repeating: link, count: count * count))
    }

    /// The link from one device to another.
    public func link(_ source: Int, _ destination: Int) -> Link {
        links[source * devices.count + destination]
    }

    /// The rate of the slowest link or medium.
    var slowestBitsPerSecond: Int {
        min(links.map(\.bitsPerSecond).min() ?? .max, mediumBitsPerSecond ?? .max)
    }
}
