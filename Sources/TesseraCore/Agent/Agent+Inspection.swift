// What checkers look at: nothing here is for the shell of a real agent.

/// What is reserved at one node for one decision, and what is used of it.
package struct ReservationUse: Hashable, Sendable {
    /// The decision.
    package var ballot: Ballot
    /// How many attempts it lets into flight.
    package var window: Int
    /// Attempts open here, or tickets handed out here.
    package var used: Int

    /// Makes a figure.
    package init(ballot: Ballot, window: Int, used: Int) {
        self.ballot = ballot
        self.window = window
        self.used = used
    }
}

extension Agent {
    /// Attempts that are open at this host, by decision, ascending.
    package var openAttempts: [ReservationUse] { attempts.uses }
    /// Tickets that this gate has handed out, by decision, ascending.
    package var ticketsOut: [ReservationUse] { gate.uses }
    /// Whether no request, attempt or engine run is under way here.
    package var isIdle: Bool { requests.openCount == 0 && attempts.isIdle }
}
