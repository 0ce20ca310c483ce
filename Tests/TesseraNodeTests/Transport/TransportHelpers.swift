import Crypto
import Foundation
import NIOCore
import Synchronization
import TesseraCore
import TesseraNode

/// Blobs in memory; one of them may never end.
struct MemoryBlobs: BlobSource {
    var blobs: [BlobID: [UInt8]]
    var endless: BlobID?

    func read(
        _ blob: BlobID, isManifest: Bool, offset: Int, length: Int
    ) throws -> BlobPiece {
        if blob == endless {
            return BlobPiece(
                bytes: ByteBuffer(repeating: 1, count: length), totalByteCount: 1 << 45)
        }
        guard let bytes = blobs[blob] else { throw BlobSourceError.missing }
        let end = min(bytes.count, offset + length)
        return BlobPiece(
            bytes: ByteBuffer(bytes: bytes[min(offset, end)..<end]), totalByteCount: bytes.count)
    }
}

/// Gathers a blob in memory and checks it against its name.
final class MemorySink: BlobSink {
    struct Corrupt: Error {}
    struct Gap: Error {}

    private let id: BlobID
    private let gathered: Mutex<[UInt8]>

    init(id: BlobID, already: [UInt8] = []) {
        self.id = id
        gathered = Mutex(already)
    }

    var bytes: [UInt8] { gathered.withLock(\.self) }

    func write(_ bytes: ByteBuffer, at offset: Int, totalByteCount: Int) throws {
        try gathered.withLock { gathered in
            guard gathered.count == offset else { throw Gap() }
            gathered += bytes.readableBytesView
        }
    }

    func finish(totalByteCount: Int) throws {
        guard bytes.count == totalByteCount, Self.id(of: bytes) == id else { throw Corrupt() }
    }

    static func id(of bytes: [UInt8]) -> BlobID {
        guard let id = BlobID(bytes: Array(SHA256.hash(data: bytes))) else {
            fatalError("SHA-256 gave another number of bytes than 32")
        }
        return id
    }
}

/// Forgets what it gets.
struct DroppingSink: BlobSink {
    func write(_ bytes: ByteBuffer, at offset: Int, totalByteCount: Int) throws {}
    func finish(totalByteCount: Int) throws {}
}

/// A plain socket, for those who do not keep to the protocol.
final class RawSocket {
    let descriptor: CInt
    /// Where it is bound, for datagrams.
    let address: Address

    struct Failed: Error {
        let call: String
        let number: CInt
    }

    init(_ kind: __socket_type) throws {
        let descriptor = socket(AF_INET, CInt(kind.rawValue), 0)
        self.descriptor = descriptor
        guard descriptor >= 0 else { throw Failed(call: "socket", number: errno) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard kind == SOCK_DGRAM else {
            address = Address(host: "127.0.0.1", port: 0)
            return
        }
        let any = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        guard any.withSockAddr({ bind(descriptor, $0, socklen_t($1)) }) == 0 else {
            throw Failed(call: "bind", number: errno)
        }
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        guard result == 0 else { throw Failed(call: "getsockname", number: errno) }
        address = Address(host: "127.0.0.1", port: UInt16(bigEndian: name.sin_port))
    }

    deinit {
        close(descriptor)
    }

    func connect(to address: Address) throws {
        let target = try SocketAddress(ipAddress: address.host, port: Int(address.port))
        let result = target.withSockAddr { Foundation.connect(descriptor, $0, socklen_t($1)) }
        guard result == 0 else { throw Failed(call: "connect", number: errno) }
    }

    /// Sends; false if the other end has closed.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        Foundation.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL)) == bytes.count
    }

    /// What comes next; empty when the other end closes or nothing comes for ten seconds.
    func receive(_ count: Int = 65_536) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: count)
        let got = recv(descriptor, &buffer, count, 0)
        return Array(buffer.prefix(max(0, got)))
    }

    /// Waits until the other end closes; gives all that came before.
    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        while case let part = receive(), !part.isEmpty { all += part }
        return all
    }
}

/// Passes datagrams on.
final class Relay {
    private let socket: RawSocket

    init(to target: Address) throws {
        socket = try RawSocket(SOCK_DGRAM)
        forward = try RawSocket(SOCK_DGRAM)
        try forward.connect(to: target)
    }

    private let forward: RawSocket

    var address: Address { socket.address }

    func forwardTwice() throws {
        let datagram = socket.receive()
        try send(datagram)
        try send(datagram)
    }

    func send(_ bytes: [UInt8]) throws {
        guard forward.send(bytes) else {
            throw RawSocket.Failed(call: "send", number: errno)
        }
    }
}
