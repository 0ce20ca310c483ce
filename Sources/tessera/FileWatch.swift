import ServiceLifecycle
import TesseraNode
import UnixSignals

/// Looks at small files each second, and at once on SIGHUP, and calls when they were changed.
struct FileWatch: Service {
    /// Soon enough for a person, and no load.
    static let period = Duration.seconds(1)

    private let paths: [String]
    private let onChange: @Sendable () async -> Void

    /// Calls `onChange` once at the start, because the files may have changed since they were read;
    /// after each change; and on SIGHUP.
    init(_ paths: [String], onChange: @escaping @Sendable () async -> Void) {
        self.paths = paths
        self.onChange = onChange
    }

    func run() async throws {
        // One look is as good as several: the files are read as they are then.
        let (looks, teller) = AsyncStream.makeStream(
            of: Bool.self, bufferingPolicy: .bufferingNewest(1))
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    for await _ in await UnixSignalsSequence(trapping: .sighup) {
                        teller.yield(true)
                    }
                }
                tasks.addTask {
                    while !Task.isCancelled {
                        teller.yield(false)
                        // A sleep that is cancelled ends the loop.
                        try? await Task.sleep(for: Self.period)
                    }
                }
                tasks.addTask { await follow(looks) }
            }
        }
    }

    private func follow(_ looks: AsyncStream<Bool>) async {
        var last: [FileStamp?]?
        for await isAsked in looks {
            let paths = paths
            let stamps = await Blocking.value { paths.map(FileStamp.init) }
            guard isAsked || stamps != last else { continue }
            last = stamps
            await onChange()
        }
    }
}
