import Hummingbird
import Synchronization
import TesseraCore

/// What became of an inference request at its entry.
enum RequestOutcome: String, CaseIterable, Sendable {
    case answered
    case unavailable
    case overloaded
    case deadlineExceeded = "deadline_exceeded"
    case failed
    case refused
    case leaving
    case unknownModel = "unknown_model"
    /// The client went away.
    case cancelled

    /// What an error of the mesh is.
    init(_ error: RequestError) {
        switch error {
        case .unknownModel: self = .unknownModel
        case .unavailable: self = .unavailable
        case .overloaded: self = .overloaded
        case .deadlineExceeded: self = .deadlineExceeded
        case .failed: self = .failed
        case .refused: self = .refused
        case .leaving: self = .leaving
        }
    }
}

/// A limit of the API that a call may reach.
enum APILimit: String, CaseIterable, Sendable {
    /// The longest body.
    case bodyBytes = "body_bytes"
    /// All bodies that are held at once.
    case heldBytes = "held_body_bytes"
    /// Connections that are open at once.
    case connections
    /// Connections from one address.
    case addressConnections = "address_connections"
    /// How long and how many the fields of a request's head may be.
    case headBytes = "head_bytes"
    /// How long a request's head may take.
    case headTime = "head_time"
    /// How slowly a body may come.
    case bodyTime = "body_time"
    /// Streams of the mesh's state.
    case streams
}

/// Why a call was not let in.
enum APIRefusal: String, CaseIterable, Sendable {
    /// The host that it names is not ours.
    case host
    /// It comes from a web page of another origin.
    case origin
    /// It needs a token, and has none that is known.
    case token
    /// Its token has not the right for it.
    case right
}

/// Counts the inference requests of this entry by model and outcome, and how long answers took.
///
/// Only names of models that the mesh has come here, so there are no more of them than the catalogue
/// ever held; beyond `modelsMax` all further ones are one.
final class RequestMetrics: Sendable {
    /// The upper bounds of the histogram's buckets, in seconds: from a small model on one node to
    /// the longest deadline.
    static let bounds: [Double] = [
        0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]
    /// Names that are counted one by one: as many as a catalogue holds.
    static let modelsMax = 512
    /// The name that stands for all further ones.
    static let otherModel = "other"

    /// The figures of one model.
    struct Figures {
        /// Requests by outcome, in the order of `RequestOutcome.allCases`.
        var outcomes = [Int](repeating: 0, count: RequestOutcome.allCases.count)
        /// Answers by the first bound that they keep; the last is beyond all bounds.
        var buckets = [Int](repeating: 0, count: bounds.count + 1)
        /// How long all answers took together.
        var answeredSeconds = 0.0
    }

    private struct State {
        // Only looked up; sorted when it is read.
        var models: [String: Figures] = [:]
        // The order is that of `APILimit.allCases`.
        var limits = [Int](repeating: 0, count: APILimit.allCases.count)
        // The order is that of `APIRefusal.allCases`.
        var refusals = [Int](repeating: 0, count: APIRefusal.allCases.count)
    }

    private let state = Mutex(State())

    /// A request ended.
    func note(_ outcome: RequestOutcome, model: String, after span: Duration) {
        let seconds =
            Double(span.components.seconds) + Double(span.components.attoseconds) / 1e18
        state.withLock { state in
            let isKnown = state.models.count < Self.modelsMax || state.models[model] != nil
            let name = isKnown ? model : Self.otherModel
            var figures = state.models.removeValue(forKey: name) ?? Figures()
            for (index, value) in RequestOutcome.allCases.enumerated() where value == outcome {
                figures.outcomes[index] += 1
            }
            if outcome == .answered {
                let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
                figures.buckets[bucket] += 1
                figures.answeredSeconds += seconds
            }
            state.models[name] = figures
        }
    }

    /// A call reached a limit.
    func note(_ limit: APILimit) {
        state.withLock { state in
            for (index, value) in APILimit.allCases.enumerated() where value == limit {
                state.limits[index] += 1
            }
        }
    }

    /// A call was not let in.
    func note(_ refusal: APIRefusal) {
        state.withLock { state in
            for (index, value) in APIRefusal.allCases.enumerated() where value == refusal {
                state.refusals[index] += 1
            }
        }
    }

    /// How often calls were not let in for this reason.
    func count(_ refusal: APIRefusal) -> Int {
        state.withLock { state in
            zip(APIRefusal.allCases, state.refusals).first { $0.0 == refusal }?.1 ?? 0
        }
    }

    /// A call ended with an error that may stand for a limit.
    func noteLimit(of error: APIError) {
        if error == BodyBudget.isFull {
            note(.heldBytes)
        } else if error.status == .contentTooLarge {
            note(.bodyBytes)
        }
    }

    /// How often a limit was reached.
    func count(_ limit: APILimit) -> Int {
        state.withLock { state in
            zip(APILimit.allCases, state.limits).first { $0.0 == limit }?.1 ?? 0
        }
    }

    /// The figures of each model, by name.
    var figures: [(model: String, figures: Figures)] {
        state.withLock { state in
            state.models.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }

    /// The metrics of these figures.
    var families: [MetricFamily] {
        var requests: [MetricSample] = []
        var durations: [MetricSample] = []
        for (model, figures) in figures {
            let label = MetricSample.Label("model", model)
            for (outcome, count) in zip(RequestOutcome.allCases, figures.outcomes) {
                requests.append(
                    MetricSample(Double(count), [label, .init("outcome", outcome.rawValue)]))
            }
            var sum = 0
            for (bound, count) in zip(Self.bounds + [.infinity], figures.buckets) {
                sum += count
                durations.append(
                    MetricSample(
                        Double(sum), [label, .init("le", MetricText.number(bound))],
                        suffix: "_bucket"))
            }
            durations.append(MetricSample(figures.answeredSeconds, [label], suffix: "_sum"))
            durations.append(MetricSample(Double(sum), [label], suffix: "_count"))
        }
        return [
            MetricFamily(
                .counter, "tessera_requests_total",
                "Inference requests that ended at this entry, each item of a batch by itself.",
                requests),
            MetricFamily(
                .histogram, "tessera_request_duration_seconds",
                "From a checked request to its answer, at this entry.", durations),
            MetricFamily(
                .counter, "tessera_api_limit_reached_total",
                "How often calls to the API reached a limit.",
                APILimit.allCases.map { limit in
                    MetricSample(Double(count(limit)), [.init("limit", limit.rawValue)])
                }),
            MetricFamily(
                .counter, "tessera_api_calls_refused_total",
                "Calls to the API that were not let in.",
                APIRefusal.allCases.map { refusal in
                    MetricSample(Double(count(refusal)), [.init("reason", refusal.rawValue)])
                }),
        ]
    }
}
