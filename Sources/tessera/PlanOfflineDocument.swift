/// A plan made without an agent, as JSON (Docs/Topologies.md).
struct PlanOfflineDocument: Codable, Equatable, Sendable {
    /// What no plan can beat.
    struct Bound: Codable, Equatable, Sendable {
        var periodSeconds: Double
        var latencySeconds: Double
        var binding: String

        enum CodingKeys: String, CodingKey {
            case periodSeconds = "period_seconds"
            case latencySeconds = "latency_seconds"
            case binding
        }
    }

    /// A stage.
    struct Stage: Codable, Equatable, Sendable {
        var mode: String
        var nodes: [String]
        var first: Int
        var last: Int
        var seconds: Double
        var latencySeconds: Double
        var linkSeconds: Double
        var memoryBytes: Int
        var operators: [String]
        var exchanges: [Int]?

        enum CodingKeys: String, CodingKey {
            case mode, nodes, first, last, seconds, operators, exchanges
            case latencySeconds = "latency_seconds"
            case linkSeconds = "link_seconds"
            case memoryBytes = "memory_bytes"
        }
    }

    /// A node and why it got what it got.
    struct Note: Codable, Equatable, Sendable {
        var node: String
        var reason: String
    }

    /// One of the plans that none beats.
    struct Point: Codable, Equatable, Sendable {
        var periodSeconds: Double
        var latencySeconds: Double
        var energyJoules: Double?
        var stages: [Stage]

        enum CodingKeys: String, CodingKey {
            case periodSeconds = "period_seconds"
            case latencySeconds = "latency_seconds"
            case energyJoules = "energy_joules"
            case stages
        }
    }

    /// What the described mesh serves under virtual time.
    struct Simulated: Codable, Equatable, Sendable {
        var periodSeconds: Double
        var latencySeconds: Double

        enum CodingKeys: String, CodingKey {
            case periodSeconds = "period_seconds"
            case latencySeconds = "latency_seconds"
        }
    }

    /// What keeping the input at the entry costs.
    struct Local: Codable, Equatable, Sendable {
        var operators: Int
        var otherwisePeriodSeconds: Double
        var otherwiseLatencySeconds: Double

        enum CodingKeys: String, CodingKey {
            case operators
            case otherwisePeriodSeconds = "otherwise_period_seconds"
            case otherwiseLatencySeconds = "otherwise_latency_seconds"
        }
    }

    /// The version of this form.
    var version = 1
    var objective: String
    var mode: String
    var isExact: Bool?
    var periodSeconds: Double
    var latencySeconds: Double
    var energyJoules: Double?
    var bottleneck: String
    var bound: Bound
    var local: Local?
    var stages: [Stage]
    var leftOut: [Note]
    var used: [Note]?
    var pareto: [Point]?
    var paretoIsExact: Bool?
    var simulated: Simulated?

    enum CodingKeys: String, CodingKey {
        case version, objective, mode, bottleneck, bound, local, stages, used, pareto, simulated
        case isExact = "exact"
        case periodSeconds = "period_seconds"
        case latencySeconds = "latency_seconds"
        case energyJoules = "energy_joules"
        case leftOut = "left_out"
        case paretoIsExact = "pareto_exact"
    }
}
