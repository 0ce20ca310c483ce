import TesseraCore

/// The forms that the control API gives to information.
enum ControlText {
    static func word(_ status: MemberStatus) -> String {
        switch status {
        case .alive: "alive"
        case .suspect: "suspect"
        case .dead: "dead"
        case .left: "left"
        }
    }

    static func word(_ mode: StageMode) -> String {
        switch mode {
        case .single: "single"
        case .replicas: "replicas"
        case .rows: "rows"
        case .branches: "branches"
        }
    }

    static func server(_ server: ServerInformation) -> JSONValue {
        [
            "node": .string(server.node.hexadecimal), "name": .string(server.name),
            "mesh": .string(server.mesh), "program_version": .string(server.version),
            "uptime_us": .integer(server.uptime.microseconds),
        ]
    }

    static func load(_ status: StatusInformation) -> JSONValue {
        [
            "open_requests": .integer(status.openRequests),
            "queued_requests": .integer(status.queuedRequests),
            "memory_bytes": .integer(status.memoryBytes),
            "used_memory_bytes": .integer(status.usedMemoryBytes),
            "disk_bytes": .integer(status.diskBytes),
            "used_disk_bytes": .integer(status.usedDiskBytes),
        ]
    }

    static func member(_ member: MemberInformation) -> JSONValue {
        [
            "node": .string(member.member.node.hexadecimal),
            "boot": .unsigned(member.member.boot.counter),
            "name": .string(member.name),
            "address": .optional(member.address?.description),
            "status": .string(word(member.status)),
            "self": .boolean(member.isSelf),
            "leaving": .boolean(member.isLeaving),
            "capability": member.capability.map(capability) ?? .null,
            "round_trip_us": .optional(member.roundTripMicroseconds),
        ]
    }

    private static func capability(_ capability: Capability) -> JSONValue {
        [
            "threads": .integer(capability.threads),
            "memory_bytes": .integer(capability.memoryBytes),
            "disk_bytes": .integer(capability.diskBytes),
            "operations_per_us": .unsigned(capability.operationsPerMicrosecond),
            "moved_bytes_per_us": .unsigned(capability.movedBytesPerMicrosecond),
            "engine": .string(capability.fingerprint.text),
        ]
    }

    static func model(_ model: ModelInformation) -> JSONValue {
        [
            "name": .string(model.name),
            "manifest": .string(model.manifest.hexadecimal),
            "ready": .boolean(model.readiness == .ready),
            "reason": .optional(model.readiness.reason),
            "weight_bytes": .integer(model.weightBytes),
            "inputs": .array(model.inputs.map(InferenceHandler.description(of:))),
            "outputs": .array(model.outputs.map(InferenceHandler.description(of:))),
        ]
    }

    static func replication(_ replication: ReplicationInformation) -> JSONValue {
        [
            "blobs": .integer(replication.blobCount),
            "fewest_copies": .integer(replication.fewestCopies),
            "whole_copies": .integer(replication.wholeCopies),
            "nodes": .integer(replication.nodeCount),
        ]
    }

    static func plan(_ plan: PlanInformation) -> JSONValue {
        [
            "model": .string(plan.model),
            "manifest": .string(plan.manifest.hexadecimal),
            "plan": .optional(plan.plan?.hexadecimal),
            "reason": .optional(plan.reason),
            "round": .unsigned(plan.round),
            "window": .integer(plan.window),
            "period_us": .integer(plan.periodMicroseconds),
            "latency_us": .integer(plan.latencyMicroseconds),
            "bottleneck": .string(plan.bottleneck),
            "bound": [
                "period_us": .optional(plan.boundMicroseconds),
                "binding": .optional(plan.boundBinding),
            ],
            "stages": .array(plan.stages.map(stage)),
            "alternates": .array(plan.alternates.map(alternate)),
            "left_out": .array(
                plan.leftOut.map { note in
                    [
                        "node": .string(note.node.hexadecimal), "reason": .string(note.reason),
                    ]
                }),
        ]
    }

    private static func stage(_ stage: PlanInformation.Stage) -> JSONValue {
        [
            "mode": .string(word(stage.mode)),
            "nodes": .array(stage.nodes.map { .string($0.hexadecimal) }),
            "node_names": .array(stage.nodeNames.map(JSONValue.string)),
            "first": .integer(stage.operators.lowerBound),
            "last": .integer(stage.operators.upperBound - 1),
            "first_operator": .string(stage.firstOperator),
            "last_operator": .string(stage.lastOperator),
            "predicted_us": .integer(stage.predictedMicroseconds),
            "measured_us": .optional(stage.measuredMicroseconds),
            "link_us": .integer(stage.linkMicroseconds),
            "memory_bytes": .integer(stage.memoryBytes),
        ]
    }

    private static func alternate(_ alternate: PlanInformation.Alternate) -> JSONValue {
        [
            "without": .string(alternate.without.hexadecimal),
            "node_name": .string(alternate.nodeName),
            "plan": .optional(alternate.plan?.hexadecimal),
            "armed": .boolean(alternate.isArmed),
            "reason": .optional(alternate.reason),
            "period_us": .optional(alternate.periodMicroseconds),
        ]
    }

    static func event(_ event: EventInformation) -> JSONValue {
        [
            "version": .integer(1 as Int64),
            "sequence": .unsigned(event.sequence),
            "unix_us": .integer(event.unixMicroseconds),
            "agent_us": .integer(event.agentMicroseconds),
            "kind": .string(event.kind),
            "message": .string(event.message),
            "details": .object(
                event.details.map { JSONMember(name: $0.name, value: .string($0.value)) }),
        ]
    }
}
