import TesseraAPI

extension EnergyDocument {
    /// What the nodes' powers say, or which of them do not say theirs.
    var modelledText: String {
        if let joulesPerItem {
            return "\(Figures.energy(joules: joulesPerItem)) per item beyond idle, modelled from "
                + "the nodes' powers"
        }
        let names = unknownNodes.isEmpty ? "a lost node" : unknownNodes.joined(separator: ", ")
        return "not known: no power is told by \(names); give its agent --power-watts"
    }

    /// What the counters of the agent that was asked say beside it.
    var measuredText: String? {
        guard let measured else { return counter }
        return "\(Figures.energy(joules: measured.joulesPerItem)) per item measured on "
            + "\(measured.node), idle and other programs included: "
            + "\(Figures.energy(joules: measured.joules)) in "
            + "\(Figures.decimal(measured.seconds, places: 0)) s for \(measured.items) items"
    }
}
