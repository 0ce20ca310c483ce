/// What of the API's limits is used now, over HTTP and gRPC.
struct APIUsage: Sendable {
    /// Open connections.
    let connections: ConnectionLimiter
    /// Bytes of bodies of inference calls.
    let inference: BodyBudget
    /// Bytes of bodies of other calls.
    let control: BodyBudget
    /// Streams of the mesh's state.
    let streams: StreamSlots
    let metrics: RequestMetrics

    /// Nothing is used yet.
    init(_ configuration: APIConfiguration, metrics: RequestMetrics) {
        connections = ConnectionLimiter(configuration: configuration, metrics: metrics)
        inference = BodyBudget(limit: configuration.heldBytesMax)
        control = BodyBudget(limit: configuration.heldBytesMax)
        streams = StreamSlots(limit: configuration.streamsMax, metrics: metrics)
        self.metrics = metrics
    }

    /// The metrics of the API.
    var families: [MetricFamily] {
        metrics.families + [
            MetricFamily(
                .gauge, "tessera_api_connections", "Open connections of the API.",
                [MetricSample(Double(connections.open))]),
            MetricFamily(
                .gauge, "tessera_api_held_body_bytes", "Bytes of bodies that are held.",
                [MetricSample(Double(inference.heldBytes + control.heldBytes))]),
            MetricFamily(
                .gauge, "tessera_api_streams", "Open streams of the mesh's state.",
                [MetricSample(Double(streams.open))]),
        ]
    }

    /// What was refused, as `tessera status` shows it.
    var counters: [String: UInt64] {
        var counters: [String: UInt64] = [:]
        for limit in APILimit.allCases {
            counters["apiLimit:\(limit.rawValue)"] = UInt64(metrics.count(limit))
        }
        for refusal in APIRefusal.allCases {
            counters["apiRefused:\(refusal.rawValue)"] = UInt64(metrics.count(refusal))
        }
        return counters
    }
}
