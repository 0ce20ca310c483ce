import Foundation
import TesseraCore
import Testing

@testable import TesseraNode

@Suite struct CrashMarksTests {
    static let member = NodeBoot(node: NodeID(1, 2, 3, 4), boot: Boot(counter: 5, random: 6))
    static let entry = NodeBoot(node: NodeID(7, 8, 9, 10), boot: Boot(counter: 11, random: 12))
    static let manifest = ManifestID(13, 14, 15, 16)
    static let compiling = CrashMark.Work.compiling(
        FragmentKey(manifest: manifest, operators: 3..<9, rows: 0..<4))
    static let running = CrashMark.Work.running(
        FragmentKey(manifest: manifest, operators: 1..<2), RequestID(entry: entry, counter: 17))

    private static func found(_ path: String) throws -> [CrashMark] {
        try CrashMarks(path: path, member: member, places: 3).found
    }

    @Test("what was under way when the process ended is found, and only that")
    func underWay() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/marks"
        let marks = try CrashMarks(path: path, member: Self.member, places: 3)
        #expect(marks.found.isEmpty)
        let done = marks.begin(Self.compiling)
        _ = marks.begin(Self.running)
        _ = marks.begin(Self.compiling)
        #expect(marks.begin(Self.running) == nil)
        marks.end(done)
        #expect(
            try Self.found(path) == [
                CrashMark(member: Self.member, work: Self.running, signal: nil),
                CrashMark(member: Self.member, work: Self.compiling, signal: nil),
            ])
        // Each process begins anew.
        #expect(try Self.found(path).isEmpty)
    }

    @Test("the work of the thread that a signal strikes is told from what was beside it")
    func signal() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/marks"
        await #expect(processExitsWith: .signal(SIGABRT)) { [path = path as String] in
            let marks = try CrashMarks(path: path, member: Self.member, places: 3)
            let other = Thread {
                _ = marks.begin(Self.compiling)
                while true { sleep(60) }
            }
            other.start()
            _ = marks.begin(Self.running)
            // Until the other thread has its mark, no place but the first is taken.
            while try Data(contentsOf: URL(filePath: path))[64 + 144] == 0 { sched_yield() }
            abort()
        }
        #expect(
            try Set(Self.found(path)) == [
                CrashMark(member: Self.member, work: Self.running, signal: Int(SIGABRT)),
                CrashMark(member: Self.member, work: Self.compiling, signal: nil),
            ])
    }

    @Test("a file that is not one of marks has nothing to tell and is replaced")
    func damaged() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/marks"
        let marks = try CrashMarks(path: path, member: Self.member, places: 1)
        _ = marks.begin(Self.running)
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes[0] ^= 1
        try bytes.write(to: URL(filePath: path))
        #expect(try Self.found(path).isEmpty)
        try Data(repeating: 255, count: 1_000).write(to: URL(filePath: path))
        #expect(try Self.found(path).isEmpty)
    }
}
