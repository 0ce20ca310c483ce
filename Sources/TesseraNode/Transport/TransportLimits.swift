import NIOCore
import TesseraCore
import TesseraWire

/// Every bound of the transport, with its reason.
enum TransportLimits {
    // MARK: Connections

    /// A host that answers at all on a local network does so within milliseconds.
    static let connectTimeout = TimeAmount.seconds(2)
    /// Preamble, TLS and hello together; a loaded small board signs in under 100 ms.
    static let handshakeTimeout = TimeAmount.seconds(3)
    /// Half-open connections from one address: four agents on one machine that all dial at once,
    /// control and data, stay well below.
    static let halfOpenPerAddress = 64
    /// Half-open connections in all: each holds a descriptor and at most a TLS state of ~50 kB.
    static let halfOpenTotal = 256
    /// Dials at once; discovery proposes addresses that nobody vouches for.
    static let dialsMax = 64
    /// Peers with a session: four times as many as a mesh in which everybody has one with everybody;
    /// in a larger one a node keeps some 32, and one for each host and voter of its plans.
    static let sessionsMax = 256
    /// Control connections of one session: crossing dials over a few addresses of one host.
    static let connectionsPerSession = 8
    /// Connections that wait in the kernel between two looks at the socket.
    static let listenBacklog: Int32 = 256

    // MARK: Control

    /// How often a peer is asked for a sign of life.
    static let keepaliveInterval = TimeAmount.seconds(1)
    /// A peer that was heard so recently is not asked.
    static let keepaliveQuiet = TimeAmount.milliseconds(500)
    /// Silence after which a control connection is dead: three asked signs missed.
    static let silenceMax = TimeAmount.seconds(3)
    /// How often silence is looked at.
    static let tickInterval = TimeAmount.milliseconds(250)
    /// A tick later than this means that our own loop stalled: then nobody else is to blame.
    static let stallTolerated = TimeAmount.milliseconds(750)
    /// What a retired or closing connection may take to empty its queue.
    static let goodbyeTimeout = TimeAmount.seconds(1)
    /// Unsent control bytes of one peer: a peer that reads nothing for so long is of no use.
    static let controlQueueBytesMax = 64 << 20

    // MARK: Data

    /// Bytes handed to the kernel and TLS and not yet taken, per peer.
    static let inFlightBytesMax = 1 << 20
    /// Unsent bytes that the kernel may hold per data connection, so that a slice does not wait
    /// behind megabytes of blobs (Linux `TCP_NOTSENT_LOWAT`).
    static let kernelUnsentBytesMax = 512 << 10
    /// Slices that wait for one peer; more would mean that tickets do not hold.
    static let queuedSlicesMax = 4_096
    /// Slices that one peer may have begun and not finished.
    static let openSlicesMax = 4_096
    /// Of the chunks sent while slices wait, one in so many is a blob's, so that a repair under
    /// load is slow and not stuck.
    static let blobShare = 8
    /// Chunks that one fetch has asked for and not got: 2 MiB cover a round trip of 10 ms at
    /// 200 MB/s.
    static let blobChunksAsked = 8
    /// Chunks that one peer may have asked us for at once: bounds the memory of reading ahead.
    static let blobRequestsPerPeer = 64
    /// Fetches at once.
    static let fetchesMax = 64
    /// A fetch that gets nothing for so long has failed.
    static let fetchSilenceMax = TimeAmount.seconds(30)
    /// How often fetches are looked at.
    static let fetchSilenceCheck = TimeAmount.seconds(5)
    /// Transfers below this say more of latency than of the link.
    static let measuredBytesMin = 256 << 10
    /// Likewise for packed slices: only links so slow that this takes a while have them, and they
    /// would not be measured otherwise.
    static let measuredPackedBytesMin = 32 << 10

    /// What a slice must have for its link to be measured by it.
    static func measuredBytesMin(_ codec: Codec) -> Int {
        codec == .none ? measuredBytesMin : measuredPackedBytesMin
    }
    /// A large slice that was not reported for so long after it began was given up.
    static let largeSliceForgotten = TimeAmount.seconds(10)
    /// Frames of the first trial of a link: 192 KiB, a third of a second at 5 Mbit/s.
    static let firstTrialFrames = 3
    /// Frames of the largest trial: 1 MiB.
    static let trialFramesMax = 16
    /// What a trial of a link of known speed is to take: long beside the kernel's clock, short for
    /// whoever waits behind it.
    static let trialMilliseconds: UInt64 = 40

    /// Frames of a trial of a link that is taken to be so fast; 0 if nothing is known.
    static func trialFrames(bytesPerSecond: UInt64) -> Int {
        let bytes = bytesPerSecond / 1_000 * trialMilliseconds
        return min(
            max(Int(bytes) / WireLimits.trialBytesMax, firstTrialFrames), trialFramesMax)
    }

    /// Trials right after a session begins: the first ones meet a busy start.
    static let firstTrials = 4
    /// Trials of a link whose rate is known from single flights alone: sixteen of the largest are long
    /// enough together for the kernel's clock up to a gigabit per second.
    static let trialsUntilKnown = 16
    /// Between two of them over the same link.
    static let firstTrialInterval = TimeAmount.seconds(1)
    /// A trial that nobody has answered for so long is given up; 192 KiB at half a megabit per second.
    static let trialPatience = TimeAmount.seconds(3)
    /// Between two trials there are so many times as long as the last one took, for everything else.
    static let trialPauseFactor: Int64 = 3
    /// A link over which nothing large went for so long is tried again.
    static let trialInterval = TimeAmount.seconds(60)
    /// How long a session may be without its data connection.
    static let dataMissingMax = TimeAmount.seconds(6)

    // MARK: Datagrams

    /// Runs whose datagrams are accepted, of now and the last day: as many as have replay windows.
    static let knownBootsMax = DatagramOpener.sendersMax
    /// How long after its last handshake a run's datagrams are accepted.
    static let knownBootLifetime = TimeAmount.hours(24)
    /// Kernel buffers of the datagram socket: a burst of rumours from 256 members.
    static let datagramBufferBytes: Int32 = 1 << 20

    /// A peer that does not belong here is reported once in so long.
    static let misfitSilence = TimeAmount.minutes(10)
    /// Such reports that are remembered: a network has few devices of other meshes or releases.
    static let misfitsMax = 64
}
