import TesseraAPI
import TesseraCore
import TesseraSimulator

/// `simulate --scale --json`.
struct ScaleDocument: Codable {
    /// A mesh of one size.
    struct Row: Codable {
        /// How many nodes.
        var nodes: Int
        /// From the first start until every node sees every other one alive.
        var convergenceMilliseconds: Int64?
        /// From a power loss until the first node holds the lost one dead.
        var detectionMilliseconds: Int64?
        /// From a power loss until every node does.
        var spreadMilliseconds: Int64?
        /// From the return until every node sees it alive again.
        var returnMilliseconds: Int64?
        /// Datagrams and messages per node and second, with 1 % of the nodes changing per minute.
        var messagesPerNodeSecond: Double
        /// Their bytes.
        var bytesPerNodeSecond: Double
    }
    /// The version of this form.
    var version = controlVersion
    /// By size.
    var rows: [Row]
}

/// Figures of membership by the size of the mesh.
struct SimulateScale {
    let counts: [Int]
    let seed: UInt64

    func run(_ isJSON: Bool) throws {
        var rows: [ScaleDocument.Row] = []
        if !isJSON {
            Console.line(
                "nodes  converged ms  detected ms  spread ms  back ms  messages/s  bytes/s")
        }
        for count in counts {
            let row = try row(count)
            rows.append(row)
            guard !isJSON else { continue }
            func text(_ span: Int64?, _ width: Int) -> String {
                pad(span.map { "\($0)" } ?? "-", width)
            }
            Console.line(
                pad("\(count)", 5) + text(row.convergenceMilliseconds, 14)
                    + text(row.detectionMilliseconds, 13) + text(row.spreadMilliseconds, 11)
                    + text(row.returnMilliseconds, 9)
                    + pad("\(Int(row.messagesPerNodeSecond.rounded()))", 12)
                    + pad("\(Int(row.bytesPerNodeSecond.rounded()))", 9))
        }
        if isJSON { Console.line(try JSONText.pretty(ScaleDocument(rows: rows))) }
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private func row(_ count: Int) throws -> ScaleDocument.Row {
        do {
            let figures = try ScaleRun.measure(nodes: count, seed: seed)
            return ScaleDocument.Row(
                nodes: count, convergenceMilliseconds: figures.convergence?.milliseconds,
                detectionMilliseconds: figures.detection?.milliseconds,
                spreadMilliseconds: figures.spread?.milliseconds,
                returnMilliseconds: figures.returned?.milliseconds,
                messagesPerNodeSecond: figures.messagesPerNodeSecond,
                bytesPerNodeSecond: figures.bytesPerNodeSecond)
        } catch {
            throw CommandFailure("\(count) nodes break a property: \(error)")
        }
    }
}
