/// One value of a metric.
public struct MetricSample: Hashable, Sendable {
    /// A label of a sample.
    public struct Label: Hashable, Sendable {
        /// The name: letters, digits and underscores.
        public var name: String
        /// Any text.
        public var value: String

        /// Makes a label.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What follows the family's name, such as `_bucket`.
    public var suffix: String
    /// What tells the samples of a family apart.
    public var labels: [Label]
    /// The value.
    public var value: Double

    /// Makes a sample.
    public init(_ value: Double, _ labels: [Label] = [], suffix: String = "") {
        self.value = value
        self.labels = labels
        self.suffix = suffix
    }
}

/// A metric with all its samples.
public struct MetricFamily: Hashable, Sendable {
    /// What its values mean.
    public enum Kind: String, Sendable {
        /// Grows from 0 while the agent runs.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts by upper bounds.
        case histogram
        /// A sum and a count.
        case summary
    }

    /// The name, with its unit.
    public var name: String
    /// What it says, for people.
    public var help: String
    /// What its values mean.
    public var kind: Kind
    /// The values.
    public var samples: [MetricSample]

    /// Makes a family of many samples.
    public init(_ kind: Kind, _ name: String, _ help: String, _ samples: [MetricSample]) {
        self.kind = kind
        self.name = name
        self.help = help
        self.samples = samples
    }

    /// Makes a family of one sample without labels.
    init(_ kind: Kind, _ name: String, _ help: String, _ value: Double) {
        self.init(kind, name, help, [MetricSample(value)])
    }

    /// Makes a family of one sample without labels.
    init(_ kind: Kind, _ name: String, _ help: String, _ value: Int) {
        self.init(kind, name, help, Double(value))
    }
}
