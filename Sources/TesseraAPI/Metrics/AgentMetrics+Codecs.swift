extension AgentMetrics {
    /// What one codec did to slices that were sent, or that arrived.
    public struct CodecWork: Sendable, Equatable {
        /// The codec.
        public var codec: String
        /// `packed` or `unpacked`.
        public var direction: String
        /// Slices.
        public var slices: Int
        /// Their bytes as the engine wrote them.
        public var plainBytes: Int
        /// Their bytes on links.
        public var packedBytes: Int
        /// Time that it took.
        public var seconds: Double

        /// Makes figures.
        public init(
            codec: String, direction: String, slices: Int, plainBytes: Int, packedBytes: Int,
            seconds: Double
        ) {
            self.codec = codec
            self.direction = direction
            self.slices = slices
            self.plainBytes = plainBytes
            self.packedBytes = packedBytes
            self.seconds = seconds
        }
    }

    var codecFamilies: [MetricFamily] {
        func counter(
            _ name: String, _ help: String, _ value: (CodecWork) -> Double
        ) -> MetricFamily {
            MetricFamily(
                .counter, name, help,
                codecs.map { work in
                    MetricSample(
                        value(work),
                        [
                            MetricSample.Label("codec", work.codec),
                            MetricSample.Label("direction", work.direction),
                        ])
                })
        }
        return [
            counter("tessera_codec_slices_total", "Slices that a codec packed or unpacked.") {
                Double($0.slices)
            },
            counter(
                "tessera_codec_plain_bytes_total", "Bytes of those slices as the engine has them."
            ) { Double($0.plainBytes) },
            counter("tessera_codec_packed_bytes_total", "Bytes of those slices on links.") {
                Double($0.packedBytes)
            },
            counter("tessera_codec_seconds_total", "Time that packing and unpacking took.") {
                $0.seconds
            },
        ]
    }
}
