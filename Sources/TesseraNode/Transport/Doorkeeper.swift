import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Accepts connections on a thread of its own and reads their preamble, so that each goes to the
/// event loop of its purpose and garbage costs neither loop anything.
///
/// NIO binds an accepted connection to a loop before its first byte is read; this is why the
/// sockets are accepted here.
final class Doorkeeper: Sendable {
    /// A connection that has shown a preamble.
    struct Visitor: Sendable {
        /// The connected socket; the receiver owns it.
        let socket: CInt
        /// What it is for.
        let purpose: Preamble.Purpose
        /// The numeric address of the other end.
        let host: String
        /// Its place among the half-open ones.
        let place: HalfOpenPlace
    }

    /// One whose preamble is not complete.
    private struct Arrival {
        let socket: CInt
        let host: String
        let place: HalfOpenPlace
        let deadline: NIODeadline
        var bytes: [UInt8] = []
    }

    private let listening: CInt
    private let wakeRead: CInt
    private let wakeWrite: CInt
    private let limiter: HalfOpenLimiter
    private let thread: NIOThreadPool
    private let counters: SharedCounters
    private let handOver: @Sendable (Visitor) -> Void

    /// After the system refused a descriptor, accepting rests so long instead of spinning.
    private static let acceptPause = TimeAmount.milliseconds(100)

    /// Takes over the listening socket and starts.
    init(
        listening: CInt, limiter: HalfOpenLimiter, counters: SharedCounters,
        handOver: @escaping @Sendable (Visitor) -> Void
    ) throws(TransportError) {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw .system("pipe", errorNumber: errno, reason: String(cString: strerror(errno)))
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        self.listening = listening
        wakeRead = ends[0]
        wakeWrite = ends[1]
        self.limiter = limiter
        self.counters = counters
        self.handOver = handOver
        thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        thread.submit { _ in self.run() }
    }

    /// Stops accepting and closes the listening socket; `stopped` is called when nobody will be
    /// handed over any more.
    func stop(stopped: @escaping @Sendable () -> Void) {
        var byte: UInt8 = 1
        // A full pipe is right to ignore: the thread will wake up all the same.
        _ = write(wakeWrite, &byte, 1)
        thread.shutdownGracefully { _ in
            closeDescriptor(self.wakeWrite)
            stopped()
        }
    }

    private func run() {
        var arrivals: [Arrival] = []
        var pausedUntil: NIODeadline?
        while true {
            let now = NIODeadline.now()
            if let until = pausedUntil, now >= until { pausedUntil = nil }
            var polled = [
                pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0),
                // A negative descriptor is skipped by `poll`.
                pollfd(fd: pausedUntil == nil ? listening : -1, events: Int16(POLLIN), revents: 0),
            ]
            polled += arrivals.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
            let next = (arrivals.map(\.deadline) + [pausedUntil].compactMap(\.self)).min()
            let wait = next.map { max(0, ($0 - now).nanoseconds / 1_000_000 + 1) } ?? -1
            let ready = poll(&polled, nfds_t(polled.count), CInt(clamping: wait))
            if ready < 0, errno != EINTR { pausedUntil = .now() + Self.acceptPause }
            if polled[0].revents != 0 { break }
            var waiting: [Arrival] = []
            for (arrival, state) in zip(arrivals, polled.dropFirst(2)) {
                if let still = serve(arrival, isReady: state.revents != 0) { waiting.append(still) }
            }
            arrivals = waiting
            if polled[1].revents != 0, !acceptAll(into: &arrivals) {
                pausedUntil = .now() + Self.acceptPause
            }
        }
        arrivals.forEach { closeDescriptor($0.socket) }
        closeDescriptor(listening)
        closeDescriptor(wakeRead)
    }

    /// Reads what has come; gives the arrival back if it must go on waiting.
    private func serve(_ arrival: Arrival, isReady: Bool) -> Arrival? {
        var arrival = arrival
        if isReady {
            var buffer = [UInt8](repeating: 0, count: Preamble.byteCount)
            let count = recv(arrival.socket, &buffer, Preamble.byteCount - arrival.bytes.count, 0)
            if count > 0 {
                arrival.bytes += buffer.prefix(count)
            } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                return turnAway(arrival)
            }
            guard Preamble.isPossible(arrival.bytes) else { return turnAway(arrival) }
            if arrival.bytes.count == Preamble.byteCount {
                guard let purpose = Preamble.purpose(arrival.bytes) else {
                    return turnAway(arrival)
                }
                handOver(
                    Visitor(
                        socket: arrival.socket, purpose: purpose, host: arrival.host,
                        place: arrival.place))
                return nil
            }
        }
        return NIODeadline.now() >= arrival.deadline ? turnAway(arrival) : arrival
    }

    private func turnAway(_ arrival: Arrival) -> Arrival? {
        closeDescriptor(arrival.socket)
        arrival.place.giveBack()
        counters.change { $0.handshakesFailed += 1 }
        return nil
    }

    /// Accepts all that wait; false if the system has no descriptor left.
    private func acceptAll(into arrivals: inout [Arrival]) -> Bool {
        while true {
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let accepted = withUnsafeMutablePointer(to: &storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    accept(listening, $0, &length)
                }
            }
            guard accepted >= 0 else {
                switch errno {
                case EINTR, ECONNABORTED: continue
                case EAGAIN: return true
                default: return false
                }
            }
            _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
            _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
            let host = Hosts.numeric(storage)
            guard let place = limiter.take(host: host) else {
                closeDescriptor(accepted)
                counters.change { $0.halfOpenRefused += 1 }
                continue
            }
            arrivals.append(
                Arrival(
                    socket: accepted, host: host, place: place,
                    deadline: .now() + TransportLimits.handshakeTimeout))
        }
    }
}
