/// Every limit of the protocol, with its reason.
///
/// Writer and reader check the same ones.
///
/// Numbers from a peer are bounded so that the core may add and multiply them without overflow:
/// the sum of thousands of them fits 64 bits.
public enum WireLimits {
    // MARK: Frames and datagrams

    /// Bytes of one message: a bundle of 33 plans for 32 nodes takes about 330 KB, the records of a
    /// mesh of 64 about 640 KB; a sender splits what is larger.
    public static let messageBytesMax = 4 << 20
    /// Bytes in one chunk of a slice or blob: a control frame never waits behind more.
    public static let chunkBytesMax = 256 << 10
    /// Bytes in one frame of a trial of a link: small beside what such a frame may delay.
    public static let trialBytesMax = 64 << 10
    /// Frames of a trial: 4 MiB say enough of every link.
    public static let trialFramesMax = 64
    /// Bytes of a hello, welcome or goodbye, later versions' additions included.
    public static let greetingBytesMax = 4 << 10
    /// Bytes of the head of a slice, a blob request or a blob refusal.
    public static let headBytesMax = 4 << 10
    /// Bytes of a datagram: fits an Ethernet frame of 1500 bytes under IPv6 and a VLAN or tunnel.
    public static let datagramBytesMax = 1_400
    /// Slices that may be open at once on one connection: tickets bound the real figure far below.
    public static let openStreamsMax = 4_096

    // MARK: Lists

    /// Members in a rumour list or a digest: dead ones are remembered for a day, so this is well
    /// above the number of devices on one local network.
    public static let membersMax = 4_096
    /// Folds of a table: one for every 16 of the members that may be known.
    public static let foldsMax = 256
    /// Names in the catalogue, tombstones included.
    public static let catalogueMax = 4_096
    /// Nodes in a view: the pool is at most 32; twice that leaves room without a new version.
    public static let viewMax = 64
    /// Alternates of a bundle: one for each node that a plan uses.
    public static let alternatesMax = 64
    /// Stages of a plan: each has at least one fragment.
    public static let stagesMax = 1_024
    /// Fragments of a plan.
    public static let fragmentsMax = 1_024
    /// Routes of a plan: a few for each fragment.
    public static let routesMax = 4_096
    /// Tickets in one message, and attempts in flight under one plan.
    public static let windowMax = 4_096
    /// Requests that an entry may wish tickets for; entries refuse new work far earlier.
    public static let wishMax = 1 << 20
    /// Addresses in a record: one per network interface.
    public static let addressesMax = 16
    /// Models in a record.
    public static let modelsMax = 512
    /// Words of a holding: 65,536 blobs in one model.
    public static let holdingWordsMax = 1_024
    /// Plans that a node is ready to run for one model: three plans with 32 alternates each.
    public static let readyPlansMax = 128
    /// Links in a record: one per member.
    public static let linksMax = 4_096
    /// Measured fragments in a record.
    public static let timesMax = 4_096
    /// Families of operators with a rate of their own: more than there are.
    public static let operatorRatesMax = 32
    /// Axes of a slice: above every operator of OpenVINO's.
    public static let rankMax = 16
    /// Tensors that were left out of what a slice was computed from: the head has 4 KiB.
    public static let leftOutMax = 512

    // MARK: Texts and keys

    /// Bytes of a node's or model's name.
    public static let nameBytesMax = 255
    /// Bytes of a host: the longest IPv6 text with an interface name after it.
    public static let hostBytesMax = 64
    /// Bytes of an engine fingerprint.
    public static let fingerprintBytesMax = 1_024
    /// Bytes of a reason for people; the writer cuts longer ones.
    public static let reasonBytesMax = 1_024
    /// Bytes of what a release is called.
    public static let releaseBytesMax = 64
    /// Bytes of a mesh tag.
    public static let tagBytesMax = 64
    /// Bytes of a public key: P-256 with its DER envelope takes 91.
    public static let keyBytesMax = 256
    /// Bytes of a signature: ECDSA on P-256 in DER takes 72.
    public static let signatureBytesMax = 256

    // MARK: Numbers

    /// Numbers that a reader raises by one (rounds, incarnations, versions): never overflow.
    public static let counterMax: UInt64 = 1 << 62
    /// Bytes of memory, disk or a blob: a pebibyte.
    public static let byteCountMax = 1 << 50
    /// Bytes of one slice: 2 GiB, far above what one request may carry.
    public static let sliceBytesMax = 1 << 31
    /// Measured or predicted microseconds: 35 years.
    public static let microsecondsMax: Int64 = 1 << 50
    /// Microseconds since 1970 that a clock may show: a thousand years.
    public static let timeOfDayMicrosecondsMax: Int64 = 1 << 55
    /// Microseconds of a remaining time: one day; the writer cuts longer ones.
    public static let remainingMicrosecondsMax: Int64 = 86_400_000_000
    /// Operations or bytes per microsecond: 10^18 a second.
    public static let rateMax: UInt64 = 1 << 40
    /// Bytes per second of a link: a petabyte.
    public static let linkRateMax: UInt64 = 1 << 50
    /// Threads of a node.
    public static let threadsMax = 1 << 16
    /// Operators and tensors of a model, and its blobs.
    public static let modelPartsMax = 1 << 20
    /// Weight of a replica: a thousandth is finer than any measured speed.
    public static let weightMax = 1 << 20
    /// Items that codecs were measured with.
    public static let itemsMax = 1 << 24
    /// Rows of a tensor: image rows or tokens.
    public static let rowsMax = 1 << 24
}
