package import TesseraCore

extension AttemptFailure: WireValue {
    private enum Tag: UInt8 {
        case gone = 1
        case full
        case engine
        case malformedSlice
        case leaving
        case unreachable
    }

    /// A tag (1 byte), then the field if there is one.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .gone(let current):
            writer.write(Tag.gone)
            writer.write(current)
        case .full:
            writer.write(Tag.full)
        case .engine(let reason):
            writer.write(Tag.engine)
            writer.write(reason: reason)
        case .malformedSlice:
            writer.write(Tag.malformedSlice)
        case .leaving:
            writer.write(Tag.leaving)
        case .unreachable:
            writer.write(Tag.unreachable)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("attempt failure", as: Tag.self) {
        case .gone: self = .gone(current: try reader.readOptional("current plan"))
        case .full: self = .full
        case .engine: self = .engine(try reader.readReason())
        case .malformedSlice: self = .malformedSlice
        case .leaving: self = .leaving
        case .unreachable: self = .unreachable
        }
    }
}

extension RequestMessage: WireValue {
    private enum Tag: UInt8 {
        case ticketWish = 1
        case tickets
        case ticketReturn
        case ticketRefusal
        case started
        case passed
        case failed
        case cancel
        case crashed
        case refuse
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    ///
    /// No ticket stands twice in a list.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .ticketWish(let plan, let count):
            writer.write(Tag.ticketWish)
            writer.write(plan)
            writer.write(count: count, "ticket wish", max: WireLimits.wishMax)
        case .tickets(let plan, let numbers):
            writer.write(Tag.tickets)
            writer.write(plan)
            Self.write(numbers, into: &writer)
        case .ticketReturn(let plan, let numbers):
            writer.write(Tag.ticketReturn)
            writer.write(plan)
            Self.write(numbers, into: &writer)
        case .ticketRefusal(let plan, let current):
            writer.write(Tag.ticketRefusal)
            writer.write(plan)
            writer.write(current)
        case .started(let attempt, let fragment):
            writer.write(Tag.started)
            writer.write(attempt)
            Self.write(fragment: fragment, into: &writer)
        case .passed(let attempt, let fragment, let microseconds):
            writer.write(Tag.passed)
            writer.write(attempt)
            Self.write(fragment: fragment, into: &writer)
            writer.write(microseconds: microseconds, "fragment time")
        case .failed(let attempt, let fragment, let reason):
            writer.write(Tag.failed)
            writer.write(attempt)
            writer.write(fragment != nil)
            if let fragment { Self.write(fragment: fragment, into: &writer) }
            writer.write(reason)
        case .cancel(let attempt):
            writer.write(Tag.cancel)
            writer.write(attempt)
        case .crashed(let request, let host):
            writer.write(Tag.crashed)
            writer.write(request)
            writer.write(host)
        case .refuse(let manifest, let digest, let remaining):
            writer.write(Tag.refuse)
            writer.write(manifest)
            writer.write(digest)
            writer.write(remaining: remaining)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("request message", as: Tag.self) {
        case .ticketWish:
            self = .ticketWish(
                plan: try reader.read(),
                count: try reader.readCount("ticket wish", max: WireLimits.wishMax))
        case .tickets:
            self = .tickets(plan: try reader.read(), numbers: try Self.readNumbers(&reader))
        case .ticketReturn:
            self = .ticketReturn(plan: try reader.read(), numbers: try Self.readNumbers(&reader))
        case .ticketRefusal:
            self = .ticketRefusal(
                plan: try reader.read(), current: try reader.readOptional("current plan"))
        case .started:
            self = .started(attempt: try reader.read(), fragment: try Self.readFragment(&reader))
        case .passed:
            self = .passed(
                attempt: try reader.read(), fragment: try Self.readFragment(&reader),
                microseconds: try reader.readMicroseconds("fragment time"))
        case .failed:
            self = .failed(
                attempt: try reader.read(),
                fragment: try reader.readFlag("fragment") ? try Self.readFragment(&reader) : nil,
                reason: try reader.read())
        case .cancel:
            self = .cancel(attempt: try reader.read())
        case .crashed:
            self = .crashed(request: try reader.read(), host: try reader.read())
        case .refuse:
            self = .refuse(
                manifest: try reader.read(), digest: try reader.read(),
                remaining: try reader.readRemaining("refusal"))
        }
    }

    private static func write(fragment: Int, into writer: inout WireWriter) {
        writer.write(count: fragment, "fragment index", max: WireLimits.fragmentsMax - 1)
    }

    private static func readFragment(_ reader: inout WireReader) throws(WireError) -> Int {
        try reader.readCount("fragment index", max: WireLimits.fragmentsMax - 1)
    }

    private static func write(_ numbers: [UInt64], into writer: inout WireWriter) {
        writer.check { () throws(WireError) in
            try WireOrder.requireDistinct(numbers, "tickets", by: { $0 })
        }
        writer.write(count: numbers.count, "tickets", max: WireLimits.windowMax)
        for number in numbers { writer.write(number) }
    }

    private static func readNumbers(_ reader: inout WireReader) throws(WireError) -> [UInt64] {
        let count = try reader.readCount("tickets", max: WireLimits.windowMax)
        guard count <= reader.remainingBytes / 8 else { throw .truncated(what: "tickets") }
        var numbers: [UInt64] = []
        numbers.reserveCapacity(count)
        for _ in 0..<count { numbers.append(try reader.read("tickets")) }
        try WireOrder.requireDistinct(numbers, "tickets", by: { $0 })
        return numbers
    }
}
