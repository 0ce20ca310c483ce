/// The parsers of bytes that come from outside, by the name of their folder in the corpus.
///
/// Each takes any bytes and returns. What is wrong with them ends in an error of the parser, which is
/// right here; a trap, a hang, or a value that does not survive being written and read again is not.
enum Parser: String, CaseIterable {
    /// What a connection between agents carries.
    case frames
    /// Messages of membership, the mesh, agreement and requests; records and plans.
    case gossip
    /// Datagrams and beacons, the mDNS text record and the preamble.
    case datagrams
    /// Packed slices.
    case codecs
    /// A journal.
    case journal
    /// OpenVINO IR.
    case ir
    /// Manifests, and the outline and fragments that are made of them.
    case manifest
    /// NumPy files.
    case npy
    /// Archives of them.
    case npz
    /// Topologies in YAML.
    case topology
    /// Bodies of inference calls over HTTP: JSON with or without binary tensors.
    case tensors
    /// Messages of inference calls over gRPC.
    case grpc
    /// Other bodies in JSON.
    case json
    /// Compressed bodies.
    case inflate
    /// PNG and JPEG files.
    case image
    /// `traceparent` and other short texts.
    case texts

    /// Feeds the parser.
    func feed(_ bytes: [UInt8]) {
        switch self {
        case .frames: WireParsers.frames(bytes)
        case .gossip: WireParsers.gossip(bytes)
        case .datagrams: WireParsers.datagrams(bytes)
        case .codecs: CodecParsers.codecs(bytes)
        case .journal: WireParsers.journal(bytes)
        case .ir: ModelParsers.ir(bytes)
        case .manifest: ModelParsers.manifest(bytes)
        case .npy: CommandParsers.npy(bytes)
        case .npz: CommandParsers.npz(bytes)
        case .topology: CommandParsers.topology(bytes)
        case .tensors: CallParsers.tensors(bytes)
        case .grpc: CallParsers.grpc(bytes)
        case .json: CallParsers.json(bytes)
        case .inflate: CallParsers.inflate(bytes)
        case .image: ModelParsers.image(bytes)
        case .texts: CommandParsers.texts(bytes)
        }
    }
}

/// Ends the process if what must hold of a parser does not.
func require(_ condition: Bool, _ what: String) {
    if !condition { fatalError("fuzz: \(what)") }
}

/// What a body gives, or nil if it throws an error, as parsers do.
func attempt<Value>(_ body: () throws -> Value) -> Value? {
    do { return try body() } catch { return nil }
}
