import ArgumentParser
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TesseraCore
import TesseraNode

/// `tessera-benchmarks transport`: one end of two transports that send tensors to each other.
struct TransportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transport", abstract: "Send tensors over the mesh's own transport.",
        discussion: """
            Without --to it listens and takes tensors. With --to it connects, sends as many as \
            told, so many in flight, and ends. Both ends print what their transport counted.
            """)

    @Option(name: .customLong("secret-file"), help: "The mesh's secret.")
    var secretFile: String

    @Flag(help: "Send tensors without encryption. Both ends must have it.")
    var plain = false

    @Option(help: "Where the other end listens, HOST:PORT.")
    var to: String?

    @Option(help: "Bytes of a tensor.")
    var size = 16 << 20

    @Option(help: "Tensors.")
    var count = 100

    @Option(help: "Tensors that may be under way at once.")
    var window = 4

    func run() throws {
        let keys = try MeshKeys(secret: MeshSecret(file: secretFile), name: "benchmark")
        let end = try TransportEnd(keys: keys, isEncrypted: !plain)
        try end.start()
        if let to {
            let parts = to.split(separator: ":")
            guard parts.count == 2, let port = UInt16(parts[1]) else {
                throw BenchmarkError("\(to) is not HOST:PORT")
            }
            let address = Address(host: String(parts[0]), port: port)
            let nanoseconds = try end.send(
                to: address, size: size, count: count, window: window)
            try Output.line(
                TransportFigures(
                    end.counters, nanoseconds: nanoseconds, size: size, count: count,
                    window: window))
        } else {
            try Output.line(["address": end.address])
            // Until the script closes standard input.
            while readLine() != nil {}
            try Output.line(
                TransportFigures(end.counters, nanoseconds: 0, size: 0, count: 0, window: 0))
        }
    }
}

/// What one end has to say.
struct TransportFigures: Encodable {
    var nanoseconds: UInt64
    var size: Int
    var count: Int
    var window: Int
    var cpuNanoseconds: UInt64
    var sliceBytesSent: Int
    var sliceBytesReceived: Int
    var sliceBytesCopiedSending: Int
    var sliceBytesCopiedReceiving: Int

    init(
        _ counters: TransportCounters, nanoseconds: UInt64, size: Int, count: Int, window: Int
    ) {
        self.nanoseconds = nanoseconds
        self.size = size
        self.count = count
        self.window = window
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        cpuNanoseconds = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        sliceBytesSent = counters.sliceBytesSent
        sliceBytesReceived = counters.sliceBytesReceived
        sliceBytesCopiedSending = counters.sliceBytesCopiedSending
        sliceBytesCopiedReceiving = counters.sliceBytesCopiedReceiving
    }
}
