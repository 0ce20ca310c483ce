// Answers by exits: outputs that may do before all of the model was computed.

extension RequestTable {
    /// An output came: exits that are whole now are looked at, and what can be concluded is.
    ///
    /// Gives the model whose queue may go on, if the request is answered.
    mutating func lookAtExits(
        _ counter: UInt64, _ index: Int, now: Timestamp, into directives: inout [Directive]
    ) -> ManifestID? {
        guard let request = requests[counter], let table = request.exits else { return nil }
        let attempt = request.running[index]
        for (number, exit) in table.exits.enumerated()
        where !attempt.isAsked.contains(number) {
            guard let tensor = attempt.joinedOutput(exit.place) else { continue }
            requests[counter]?.running[index].isAsked.insert(number)
            let route = attempt.layout.entryReceives[exit.place].routes[0]
            directives.append(
                .judge(
                    attempt: attempt.id, exit: number, tensor: tensor,
                    type: attempt.layout.descriptors[route].type, measure: exit.measure))
        }
        return conclude(counter, index, now: now, into: &directives)
    }

    /// The confidence of an exit is known.
    ///
    /// Gives the model whose queue may go on, if the request is answered.
    mutating func onJudged(
        _ id: AttemptID, exit: Int, confidence: Int, now: Timestamp,
        into directives: inout [Directive]
    ) -> ManifestID? {
        guard let (counter, index) = find(id),
            requests[counter]?.running[index].isAsked.contains(exit) == true,
            requests[counter]?.running[index].confidences[exit] == nil
        else { return nil }
        requests[counter]?.running[index].confidences[exit] = confidence
        return conclude(counter, index, now: now, into: &directives)
    }

    /// Answers if it is clear by what.
    ///
    /// An exit answers only when all before it were looked at and were not sure enough. So one input
    /// gets the same answer under every plan, whatever comes first.
    private mutating func conclude(
        _ counter: UInt64, _ index: Int, now: Timestamp, into directives: inout [Directive]
    ) -> ManifestID? {
        guard let request = requests[counter], let table = request.exits else { return nil }
        let attempt = request.running[index]
        var detail = ExitDetail(taken: nil, answer: table.answer, seen: [])
        for (number, exit) in table.exits.enumerated() {
            guard let confidence = attempt.confidences[number] else { return nil }
            detail.seen.append(ExitDetail.Seen(place: exit.place, confidence: confidence))
            guard confidence >= exit.threshold else { continue }
            guard let tensor = attempt.joinedOutput(exit.place) else { return nil }
            detail.taken = exit.place
            exitCounts[request.manifest, default: [:]][number, default: 0] += 1
            answer(counter, index, [tensor], detail, now: now, into: &directives)
            return request.manifest
        }
        guard let outputs = attempt.joinedOutputs else { return nil }
        exitCounts[request.manifest, default: [:]][table.exits.count, default: 0] += 1
        answer(counter, index, outputs, detail, now: now, into: &directives)
        return request.manifest
    }
}
