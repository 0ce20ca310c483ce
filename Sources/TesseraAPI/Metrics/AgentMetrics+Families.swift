extension AgentMetrics {
    private typealias Label = MetricSample.Label

    /// The metrics of these figures.
    public var families: [MetricFamily] {
        agentFamilies + modelFamilies + requestFamilies + fragmentFamilies + codecFamilies
            + energyFamilies
            + peerFamilies + meshFamilies + processFamilies
    }

    private var agentFamilies: [MetricFamily] {
        [
            MetricFamily(
                .gauge, "tessera_build_info", "What runs; the value is always 1.",
                [
                    MetricSample(
                        1,
                        [
                            Label("version", release), Label("protocol", "\(wireProtocol)"),
                            Label("engine", engine ?? ""),
                        ])
                ]),
            MetricFamily(
                .gauge, "tessera_agent_info", "Which agent of which mesh; the value is always 1.",
                [MetricSample(1, [Label("name", name), Label("mesh", mesh)])]),
            MetricFamily(
                .gauge, "tessera_uptime_seconds", "How long the agent runs.", uptimeSeconds),
            MetricFamily(
                .gauge, "tessera_ready", "Whether the agent takes requests.", isReady ? 1 : 0),
            MetricFamily(
                .gauge, "tessera_members", "Members that the agent knows, itself included.",
                Self.samples(members, "state")),
            MetricFamily(
                .gauge, "tessera_memory_reserved_bytes", "Bytes that fragments reserve.",
                reservedBytes),
            MetricFamily(
                .gauge, "tessera_memory_budget_bytes", "Bytes that fragments may reserve.",
                memoryBytes),
            MetricFamily(
                .gauge, "tessera_disk_used_bytes", "Bytes of blobs and manifests on disk.",
                storedBytes),
            MetricFamily(
                .gauge, "tessera_disk_quota_bytes", "Bytes that they may take.", diskBytes),
        ]
    }

    private var modelFamilies: [MetricFamily] {
        func gauge(
            _ name: String, _ help: String, _ value: (Model) -> Double?
        ) -> MetricFamily {
            MetricFamily(
                .gauge, name, help,
                models.compactMap { model in
                    value(model).map { MetricSample($0, [Label("model", model.name)]) }
                })
        }
        return [
            gauge("tessera_model_ready", "Whether a plan serves the model.") { $0.isReady ? 1 : 0 },
            gauge("tessera_model_weight_bytes", "Bytes of the model's weights.") {
                $0.weightBytes.map { Double($0) }
            },
            gauge("tessera_model_copies", "Nodes that hold the blob that the fewest nodes hold.") {
                Double($0.copies)
            },
            gauge("tessera_plan_nodes", "Nodes that the model's plan uses.") { Double($0.nodes) },
            gauge(
                "tessera_plan_predicted_period_seconds",
                "What an item takes in a stream, as the plan expects it.", \.periodSeconds),
            gauge(
                "tessera_plan_predicted_latency_seconds",
                "What one item alone takes, as the plan expects it.", \.latencySeconds),
            MetricFamily(
                .counter, "tessera_plan_changes_total",
                "Plans that were decided for the model, as this agent saw it.",
                models.map { MetricSample(Double($0.plansDecided), [Label("model", $0.name)]) }),
            MetricFamily(
                .counter, "tessera_exit_answers_total",
                "Requests of this entry by what answered: an early exit, or the end of the model.",
                models.flatMap { model in
                    model.exits.map { exit in
                        MetricSample(
                            Double(exit.count),
                            [Label("model", model.name), Label("output", exit.name)])
                    }
                }),
            MetricFamily(
                .counter, "tessera_left_out_answers_total",
                "Answers of this entry that did without branches which were late or lost.",
                models.map { MetricSample(Double($0.leftOut), [Label("model", $0.name)]) }),
        ]
    }

    private var requestFamilies: [MetricFamily] {
        [
            MetricFamily(
                .gauge, "tessera_open_requests", "Requests that are open at this entry.",
                openRequests),
            MetricFamily(
                .counter, "tessera_requests_refused_total",
                "Requests that this entry refused at once because of overload.",
                Self.samples(refusals, "reason")),
            MetricFamily(
                .counter, "tessera_attempts_total", "Attempts that this entry started.", attempts),
            MetricFamily(
                .counter, "tessera_retries_total", "Attempts beyond the first of their request.",
                retries),
            MetricFamily(
                .counter, "tessera_attempts_lost_total",
                "Attempts of this entry that ended without an answer.",
                Self.samples(attemptLosses, "cause")),
        ]
    }

    private var fragmentFamilies: [MetricFamily] {
        func summary(
            _ name: String, _ help: String, _ seconds: (Fragment) -> Double
        ) -> MetricFamily {
            MetricFamily(
                .summary, name, help,
                fragments.flatMap { fragment in
                    [
                        MetricSample(seconds(fragment), Self.labels(fragment), suffix: "_sum"),
                        MetricSample(
                            Double(fragment.runs), Self.labels(fragment), suffix: "_count"),
                    ]
                })
        }
        return [
            MetricFamily(
                .gauge, "tessera_open_attempts",
                "Attempts, of all entries, that are open at this node.", openAttempts),
            MetricFamily(
                .gauge, "tessera_fragment_runs_queued", "Runs that wait for the engine.",
                queuedRuns),
            MetricFamily(
                .gauge, "tessera_fragment_runs_active", "Runs that the engine has.", runningRuns),
            summary(
                "tessera_fragment_run_seconds", "How long runs of a fragment took.", \.ranSeconds),
            summary(
                "tessera_fragment_wait_seconds",
                "How long runs of a fragment waited for a thread of the engine.", \.waitedSeconds),
            MetricFamily(
                .counter, "tessera_fragment_failures_total", "Runs of a fragment that failed.",
                fragments.map { MetricSample(Double($0.failures), Self.labels($0)) }),
            MetricFamily(
                .counter, "tessera_late_runs_total",
                "Runs, on any node, that took longer than this entry's clock allows.", lateRuns),
        ]
    }

    private static func labels(_ fragment: Fragment) -> [Label] {
        [
            Label("model", fragment.model), Label("operators", fragment.operators),
            Label("rows", fragment.rows),
        ]
    }

    private var peerFamilies: [MetricFamily] {
        func family(
            _ kind: MetricFamily.Kind, _ name: String, _ help: String, _ value: (Peer) -> Double?
        ) -> MetricFamily {
            MetricFamily(
                kind, name, help,
                peers.compactMap { peer in
                    value(peer).map {
                        MetricSample($0, [Label("peer", peer.name), Label("node", peer.node)])
                    }
                })
        }
        return [
            family(.gauge, "tessera_link_up", "Whether there is a connection to the peer.") {
                $0.isConnected ? 1 : 0
            },
            family(
                .counter, "tessera_link_sent_bytes_total",
                "Bytes given to the connections to the peer, before encryption."
            ) { Double($0.sentBytes) },
            family(
                .counter, "tessera_link_received_bytes_total",
                "Bytes that came over the connections to the peer, after encryption."
            ) { Double($0.receivedBytes) },
            family(
                .gauge, "tessera_link_rate_bytes_per_second",
                "What the link to the peer was measured to carry."
            ) { $0.bytesPerSecond.map { Double($0) } },
            family(
                .gauge, "tessera_link_round_trip_seconds", "Round trip to the peer.",
                \.roundTripSeconds),
        ]
    }

    private var meshFamilies: [MetricFamily] {
        var families = [
            MetricFamily(
                .counter, "tessera_losses_total",
                "Members whose connection broke while something relied on it.", losses),
            MetricFamily(
                .summary, "tessera_recovery_seconds",
                "How long requests that a loss hit waited for their first right answer.",
                [
                    MetricSample(recoverySeconds, suffix: "_sum"),
                    MetricSample(Double(recoveries), suffix: "_count"),
                ]),
            MetricFamily(
                .counter, "tessera_rounds_failed_total",
                "Rounds about a plan that ended without a decision.", roundsFailed),
            MetricFamily(
                .counter, "tessera_limit_reached_total", "How often a limit was reached.",
                Self.samples(limits, "limit")),
        ]
        families.append(
            MetricFamily(
                .counter, "tessera_trace_spans_total", "Spans for the trace file.",
                Self.samples(traceSpans, "result")))
        for counter in transport {
            families.append(
                MetricFamily(
                    .counter, "tessera_\(counter.name)_total",
                    "What the transport between agents counted; see Docs/Operations.md.",
                    counter.count))
        }
        return families
    }

    private var processFamilies: [MetricFamily] {
        var families: [MetricFamily] = []
        if let bytes = process.residentBytes {
            families.append(
                MetricFamily(
                    .gauge, "process_resident_memory_bytes", "Memory that the process uses.", bytes)
            )
        }
        if let count = process.descriptors {
            families.append(
                MetricFamily(
                    .gauge, "process_open_fds", "File descriptors that the process has open.", count
                ))
        }
        if let seconds = process.processorSeconds {
            families.append(
                MetricFamily(
                    .counter, "process_cpu_seconds_total", "Processor time of the process.", seconds
                ))
        }
        return families
    }

    private static func samples(_ counts: [Named], _ label: String) -> [MetricSample] {
        counts.map { MetricSample(Double($0.count), [Label(label, $0.name)]) }
    }
}
