import TesseraCore
import TesseraSimulator

extension Topology {
    /// The described mesh as the simulator takes it.
    var simulatedMesh: SimulatedMesh {
        SimulatedMesh(
            devices: nodes.map { node in
                SimulatedMesh.Device(
                    name: node.name,
                    operationsPerMicrosecond: node.capability.operationsPerMicrosecond,
                    movedBytesPerMicrosecond: node.capability.movedBytesPerMicrosecond,
                    memoryBytes: node.capability.memoryBytes)
            },
            links: links.links.map { link in
                SimulatedMesh.Link(
                    bitsPerSecond: link.bitsPerSecond,
                    latency: TimeSpan(nanoseconds: Int64(link.latencyNanoseconds)))
            }, mediumBitsPerSecond: links.mediumBitsPerSecond, entry: entry)
    }
}
