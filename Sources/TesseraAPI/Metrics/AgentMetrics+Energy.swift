extension AgentMetrics {
    /// What is known of energy.
    public struct Energy: Sendable, Equatable {
        /// What the node draws beyond idle while its engine works; nil if its owner does not say.
        public var powerWatts: Double?
        /// Joules that the processor's counters counted since the start, by zone; empty where there is
        /// no counter that the agent may read.
        public var zones: [Zone]

        /// A part of the machine with a counter.
        public struct Zone: Sendable, Equatable {
            /// What the system calls it, such as `package-0`.
            public var name: String
            /// Joules since the agent started.
            public var joules: Double

            /// Makes a zone's figure.
            public init(name: String, joules: Double) {
                self.name = name
                self.joules = joules
            }
        }

        /// Makes the figures.
        public init(powerWatts: Double? = nil, zones: [Zone] = []) {
            self.powerWatts = powerWatts
            self.zones = zones
        }
    }

    var energyFamilies: [MetricFamily] {
        [
            MetricFamily(
                .gauge, "tessera_node_power_watts",
                "What the node draws beyond idle while its engine works, as its owner says.",
                energy.powerWatts.map { [MetricSample($0)] } ?? []),
            MetricFamily(
                .gauge, "tessera_plan_predicted_energy_joules",
                "What an item takes beyond idle, modelled from the nodes' powers and times.",
                models.compactMap { model in
                    model.joulesPerItem.map {
                        MetricSample($0, [MetricSample.Label("model", model.name)])
                    }
                }),
            MetricFamily(
                .counter, "tessera_processor_energy_joules_total",
                "What the processor's counters (RAPL) measured, idle and other programs included.",
                energy.zones.map {
                    MetricSample($0.joules, [MetricSample.Label("zone", $0.name)])
                }),
        ]
    }
}
