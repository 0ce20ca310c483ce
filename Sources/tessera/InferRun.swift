import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TesseraCore

/// Sends items to a model, some at once, and keeps the first answer to each.
struct InferRun: Sendable {
    /// What came of it.
    struct Outcome: Sendable {
        /// The first answer to each item; nil where there is none.
        var answers: [[KServe.Output]?]
        /// Milliseconds of each answered request.
        var latencies: [Double] = []
        /// By what answered, an exit or the output for which exits stand: how many.
        var exits: [String: Int] = [:]
        /// By the branches that answers did without: how many.
        var leftOut: [String: Int] = [:]
        /// What went wrong, with how often.
        var errors: [String: Int] = [:]
        /// Whether a request found no agent.
        var isUnreachable = false
        /// Answers to a repeated item that differ from the first one.
        var differing = 0
        /// Requests sent.
        var requests = 0
        /// Seconds from the first request to the last answer.
        var seconds = 0.0
    }

    private struct Reply: Sendable {
        var item: Int
        var milliseconds: Double
        var result: Result<[KServe.Output], CommandFailure>
        var remarks: KServe.Remarks
    }

    /// An answer comes within the agent's own deadline of 30 s, or not at all.
    private static let timeout = TimeAmount.seconds(60)
    /// The longest answer.
    private static let answerBytesMax = 2 << 30
    /// After so many failures without one answer between them there is no point in going on.
    private static let failuresInRowMax = 100

    let client: APIClient
    let path: String
    let inputs: InferInputs
    let repeats: Int
    let concurrency: Int
    let exits: ExitWish

    /// Sends everything, with a progress bar on a terminal.
    func run() async throws -> Outcome {
        var outcome = Outcome(answers: .init(repeating: nil, count: inputs.itemCount))
        let total = inputs.itemCount * repeats
        var progress = ProgressBar(total: total)
        let begin = ContinuousClock.now
        var failuresInRow = 0
        try await withThrowingTaskGroup(of: Reply.self) { group in
            var next = 0
            func sendNext() {
                guard next < total, failuresInRow < Self.failuresInRowMax else { return }
                let item = next % inputs.itemCount
                next += 1
                group.addTask { try await send(item: item) }
            }
            for _ in 0..<min(concurrency, total) { sendNext() }
            while let reply = try await group.next() {
                take(reply, &outcome)
                if case .failure = reply.result { failuresInRow += 1 } else { failuresInRow = 0 }
                progress.show(outcome.requests, errors: outcome.errors.values.reduce(0, +))
                sendNext()
            }
        }
        outcome.seconds = begin.duration(to: .now) / .seconds(1)
        progress.end()
        return outcome
    }

    private func send(item: Int) async throws -> Reply {
        let (body, headerLength) = try KServe.body(inputs.item(item), exits: exits)
        let begin = ContinuousClock.now
        let result: Result<[KServe.Output], CommandFailure>
        var remarks = KServe.Remarks()
        do {
            let answer = try await client.call(
                .POST, path,
                headers: [
                    "Content-Type": "application/octet-stream",
                    KServe.headerLengthField: "\(headerLength)",
                ], body: .bytes(body), timeout: Self.timeout, answerBytesMax: Self.answerBytesMax)
            if answer.status == 200 {
                remarks = try KServe.remarks(answer)
                result = .success(try KServe.outputs(answer))
            } else {
                result = .failure(CommandFailure(APIClient.refusal(answer)))
            }
        } catch let failure as CommandFailure {
            result = .failure(failure)
        }
        return Reply(
            item: item, milliseconds: begin.duration(to: .now) / .milliseconds(1), result: result,
            remarks: remarks)
    }

    private func take(_ reply: Reply, _ outcome: inout Outcome) {
        outcome.requests += 1
        switch reply.result {
        case .success(let outputs):
            outcome.latencies.append(reply.milliseconds)
            if let exit = reply.remarks.exit { outcome.exits[exit, default: 0] += 1 }
            if let leftOut = reply.remarks.leftOut { outcome.leftOut[leftOut, default: 0] += 1 }
            if let first = outcome.answers[reply.item] {
                if first != outputs { outcome.differing += 1 }
            } else {
                outcome.answers[reply.item] = outputs
            }
        case .failure(let failure):
            outcome.errors[failure.message, default: 0] += 1
            if failure.code == .unreachable { outcome.isUnreachable = true }
        }
    }
}

extension InferRun.Outcome {
    /// The figures.
    func document(model: String, files: [String]) -> InferDocument {
        let sorted = latencies.sorted()
        var latency: InferDocument.Latency?
        if let last = sorted.last {
            // The least value that so many percent of all do not exceed.
            func percentile(_ percent: Int) -> Double {
                sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
            }
            latency = InferDocument.Latency(
                mean: sorted.reduce(0, +) / Double(sorted.count), p50: percentile(50),
                p90: percentile(90), p99: percentile(99), max: last)
        }
        return InferDocument(
            model: model, requests: requests, answered: latencies.count, errors: errors,
            differing: differing, seconds: seconds,
            perSecond: seconds > 0 ? Double(latencies.count) / seconds : 0,
            latencyMilliseconds: latency, exits: exits.isEmpty ? nil : exits,
            leftOut: leftOut.isEmpty ? nil : leftOut, files: files)
    }
}
