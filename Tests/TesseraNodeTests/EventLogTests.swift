import TesseraCore
import Testing

@testable import TesseraNode

@Suite("Event log")
struct EventLogTests {
    @Test("a follower gets what was, then what happens, and the end")
    func follow() async {
        let log = EventLog()
        log.append(.limit("one", count: 1))
        log.append(.limit("two", count: 1))
        var events = log.follow(after: 1).makeAsyncIterator()
        #expect(await events.next()?.report == .limit("two", count: 1))
        log.append(.limit("three", count: 1))
        #expect(await events.next()?.number == 3)
        log.close()
        #expect(await events.next() == nil)
    }

    @Test("one follower too many is told so, and counted, and the others stay")
    func limit() async {
        let log = EventLog()
        let others = (0..<EventLog.followersMax).map { _ in log.follow(after: 0) }
        var reports: [Report] = []
        for await event in log.follow(after: 0) { reports.append(event.report) }
        #expect(reports == [.limit("followers of events", count: EventLog.followersMax)])
        #expect(log.tally.limits == ["followers of events": 1])
        log.append(.limit("more", count: 1))
        for other in others {
            var events = other.makeAsyncIterator()
            #expect(await events.next()?.number == 1)
            #expect(await events.next()?.number == 2)
        }
    }
}
