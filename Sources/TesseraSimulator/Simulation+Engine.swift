import TesseraCore

// Compiling and running, with virtual costs.

extension Simulation {
    func compile(_ key: FragmentKey, on node: SimulatedNode) {
        var fate = Fate(
            seed: scenario.seed, .compile, node.index, key.operators.lowerBound,
            UInt64(key.operators.upperBound))
        let span = fate.span(scenario.engine.compileLeast, scenario.engine.compileMost)
        let event: Event
        switch node.trouble(at: now) {
        case .loadFails: event = .compileFailed(key, reason: "the engine does not load it")
        case .outOfMemory: event = .compileFailed(key, reason: "out of memory")
        case .runsFail, .runsCrash, nil:
            node.compiled.insert(key)
            let bytes = models.first { $0.manifest == key.manifest }.map {
                FragmentMemory.of(key.operators, in: $0.outline).fixedBytes
            }
            event = .compiled(key, memoryBytes: bytes ?? 0)
        }
        queue.insert(.event(event, run: node.run), at: now + span)
    }

    func execute(
        _ attempt: AttemptID, _ fragment: Int, _ key: FragmentKey, _ inputs: [JoinedTensor],
        on node: SimulatedNode
    ) throws(Violation) {
        guard node.compiled.contains(key),
            let model = models.first(where: { $0.manifest == key.manifest })
        else {
            throw Violation(
                checker: "only compiled fragments run", at: now,
                what: "node \(node.index) was told to run operators \(key.operators)")
        }
        let isReady = node.agent?.inspect { $0.isReady(attempt.plan) } ?? false
        try GoneIsTold.checkExecution(attempt, isReady: isReady, node: node.index, at: now)
        var values = model.noValues
        // Operators of the simulated model have no rows, so every input is one piece.
        for (tensor, input) in zip(model.inputTensors(of: key.operators), inputs) {
            let entry = try node.payloads.read(input.pieces[0].payload.id, at: now)
            try OneAttempt.check(entry, isFor: attempt, at: node.index, now)
            values[tensor] = entry.value
        }
        let skipped = sabotage == .skipsOperator ? 1 : 0
        model.run(key.operators.dropLast(skipped), &values)
        var result = EngineRun(
            attempt: attempt, fragment: fragment,
            outputs: model.outputTensors(of: key.operators).map { tensor in
                EngineOutput(
                    value: values[tensor],
                    byteCount: model.outline.tensors[tensor].descriptor.byteCount)
            }, cost: cost(of: key, model, on: node))
        node.runsDone += 1
        switch node.trouble(at: now) {
        case .runsFail where node.runsDone % 3 == 0: result.failure = "the engine failed"
        case .outOfMemory where node.runsDone % 2 == 0: result.failure = "out of memory"
        case .runsCrash: result.isFatal = true
        default: break
        }
        let start = max(now, node.engineFreeAt)
        node.engineFreeAt = start + result.cost
        queue.insert(.ran(node.run, result), at: start + result.cost)
    }

    private func cost(
        of key: FragmentKey, _ model: SimulatedModel, on node: SimulatedNode
    ) -> TimeSpan {
        var cost = model.cost(of: key.operators, on: node.device)
        if scenario.engine.noisePercent > 0 {
            var fate = Fate(
                seed: scenario.seed, .workload, node.index, key.operators.lowerBound, node.runsDone)
            cost = cost + fate.span(.zero, cost * Int64(scenario.engine.noisePercent) / 100)
        }
        return now < node.slowUntil ? cost * Int64(node.slowPercent) / 100 : cost
    }

    func engineRan(_ run: Int, _ result: EngineRun) throws(Violation) {
        guard let node = living(run) else { return }
        if result.isFatal {
            // A run that kills its process does so once; the operator starts it again.
            node.trouble = nil
            try stop(node, .crash)
            queue.insert(.restart(node.index), at: now + .seconds(1))
            return
        }
        if let failure = result.failure {
            return try handle(
                .executionFailed(
                    attempt: result.attempt, fragment: result.fragment, reason: failure), run)
        }
        let outputs = result.outputs.map {
            Payload(
                id: node.payloads.insert($0.value, of: result.attempt), byteCount: $0.byteCount)
        }
        let event = Event.executed(
            attempt: result.attempt, fragment: result.fragment, outputs: outputs,
            microseconds: result.cost.microseconds)
        try handle(event, run)
        if sabotage == .tellsResultTwice { try handle(event, run) }
    }
}
