import TesseraAPI

/// Waits until a model is on enough nodes and served.
struct ModelWait {
    /// Often enough for a person, rarely enough for the agent.
    private static let pollPeriod = Duration.milliseconds(100)

    let client: APIClient
    let name: String
    let manifest: String
    let copies: Int
    let limit: Duration

    /// Waits; throws with the reason if it does not come to that in time.
    func run() async throws {
        let deadline = ContinuousClock.now.advanced(by: limit)
        var said = ""
        while true {
            let state = try await state()
            if state.isDone {
                Console.line(
                    "\(name) is ready: on \(state.copies) of \(state.members) nodes stored, on "
                        + "\(state.nodes) run")
                return
            }
            if state.text != said {
                said = state.text
                Console.message(said)
            }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    """
                    \(name) is in the mesh and not ready after \(limit.components.seconds) s: \
                    \(state.text).
                    It is served as soon as that changes; `tessera model list` shows it, and \
                    `tessera model remove \(name)` takes it out.
                    """)
            }
            try await Task.sleep(for: Self.pollPeriod)
        }
    }

    private struct State {
        var isDone = false
        var text: String
        var copies = 0
        var nodes = 0
        var members = 0
    }

    private func state() async throws -> State {
        let models = try await client.document(ModelsDocument.self, at: "/tessera/v1/models")
        guard let model = models.models.first(where: { $0.name == name }) else {
            return State(text: "the agent does not list it yet")
        }
        guard model.manifest == manifest else {
            throw CommandFailure(
                "\(name) was replaced by another model (manifest \(model.manifest.prefix(8))) "
                    + "meanwhile.")
        }
        let members = try await client.document(MembersDocument.self, at: "/tessera/v1/members")
        let alive = members.members.count { $0.status == "alive" && !$0.isLeaving }
        let wanted = min(copies, max(1, alive))
        var state = State(
            text: "", copies: model.copies, nodes: model.nodes, members: alive)
        if model.copies < wanted {
            state.text = "stored on \(model.copies) of \(wanted) nodes"
        } else if !model.isReady {
            state.text = Figures.printable(model.reason ?? "no plan serves it yet")
        }
        state.isDone = model.isReady && model.copies >= wanted
        return state
    }
}
