import ServiceLifecycle
import TesseraNode

/// Looks at small files each second, and calls when one of them was changed.
struct FileWatch: Service {
    /// Soon enough for a person, and no load.
    private static let period = Duration.seconds(1)

    private let paths: [String]
    private let before: [FileStamp?]
    private let onChange: @Sendable () -> Void

    /// Calls `onChange`, on a thread where it may block, after a change since now.
    init(_ paths: [String], onChange: @escaping @Sendable () -> Void) {
        self.paths = paths
        self.onChange = onChange
        before = paths.map(FileStamp.init)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var before = before
            while true {
                do {
                    try await Task.sleep(for: Self.period)
                } catch {
                    return
                }
                let (paths, last, onChange) = (paths, before, onChange)
                before = await Blocking.value {
                    let now = paths.map(FileStamp.init)
                    if now != last { onChange() }
                    return now
                }
            }
        }
    }
}
