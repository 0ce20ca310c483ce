public import TesseraCore

/// What a node is told at its start.
public struct NodeSettings: Sendable {
    /// The name for people.
    public var name: String
    /// Where to listen for peers; port 0 takes a free one.
    public var listen: Address
    /// The folder for identity, models and blobs.
    public var dataFolder: String
    /// The mesh's name.
    public var mesh: String
    /// The mesh's secrets, at the start.
    public var secrets: MeshSecrets
    /// How to find peers.
    public var discovery: DiscoveryMode
    /// Addresses to dial beside what is discovered.
    public var seeds: [SeedAddress]
    /// Bytes that fragments may take.
    public var memoryBytes: Int
    /// Bytes that blobs may take on disk.
    public var diskBytes: Int
    /// Threads of the engine.
    public var threads: Int
    /// What the device draws beyond idle while its engine works; nil if it is not known.
    public var milliwatts: Int?
    /// Whether tensors between peers are encrypted; off only for benchmarks.
    public var encryptsTensors: Bool
    /// The file that everything is written to that the core is given; nil for none.
    public var journalFile: String?

    /// Makes settings.
    public init(
        name: String, listen: Address, dataFolder: String, mesh: String, secrets: MeshSecrets,
        discovery: DiscoveryMode, seeds: [SeedAddress], memoryBytes: Int, diskBytes: Int,
        threads: Int, milliwatts: Int? = nil, encryptsTensors: Bool = true,
        journalFile: String? = nil
    ) {
        self.name = name
        self.listen = listen
        self.dataFolder = dataFolder
        self.mesh = mesh
        self.secrets = secrets
        self.discovery = discovery
        self.seeds = seeds
        self.memoryBytes = memoryBytes
        self.diskBytes = diskBytes
        self.threads = threads
        self.milliwatts = milliwatts
        self.encryptsTensors = encryptsTensors
        self.journalFile = journalFile
    }
}
