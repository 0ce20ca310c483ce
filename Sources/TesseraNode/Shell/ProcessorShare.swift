/// How much of its processors this process may use: what the quotas of its control groups leave.
///
/// A quota lets a process run at full speed for a part of each period (`cpu.max`), so that a run
/// shorter than that part looks as quick as without a quota. What a stream of runs comes to is the
/// processor time of each, divided by the share.
enum ProcessorShare {
    /// All of it, in thousandths.
    static let all = 1_000

    /// The share of so many threads that run all the time, in thousandths; at least 1.
    static func ofThreads(_ threads: Int, reading file: (String) -> String?) -> Int {
        guard let cores = cores(reading: file) else { return all }
        return min(all, max(1, cores / max(threads, 1)))
    }

    private static func cores(reading file: (String) -> String?) -> Int? {
        ControlGroup.folders(of: "cpu", reading: file).compactMap { group in
            quotaCores(in: group.path, group.version, file)
        }.min()
    }

    /// What the threads beside the engine's may use, in thousandths of a core, if they have a quota of
    /// their own; nil if they share that of the process, by which the engine runs.
    ///
    /// `groups` is what `/proc/thread-self/cgroup` says to such a thread.
    static func beside(
        groups: String?, reading file: (String) -> String? = ControlGroup.file
    ) -> Int? {
        guard let groups else { return nil }
        func reading(_ path: String) -> String? {
            path == ControlGroup.list ? groups : file(path)
        }
        let own = ControlGroup.folders(of: "cpu", reading: reading).map(\.path)
        guard own != ControlGroup.folders(of: "cpu", reading: file).map(\.path) else { return nil }
        return cores(reading: reading)
    }

    /// The share now.
    static func ofThreads(_ threads: Int) -> Int { ofThreads(threads, reading: ControlGroup.file) }

    /// What a group may use, in thousandths of a core; nil if it has no quota.
    private static func quotaCores(
        in folder: String, _ version: ControlGroup.Version, _ file: (String) -> String?
    ) -> Int? {
        let quota: Int?
        let period: Int?
        switch version {
        case .one:
            quota = file("\(folder)/cpu.cfs_quota_us").flatMap(ControlGroup.number)
            period = file("\(folder)/cpu.cfs_period_us").flatMap(ControlGroup.number)
        case .two:
            // "12000 10000", or "max 100000".
            let words = (file("\(folder)/cpu.max") ?? "").split { $0 == " " || $0 == "\n" }
            quota = words.first.flatMap { Int($0) }
            period = words.count == 2 ? Int(words[1]) : nil
        }
        guard let quota, let period, quota > 0, period > 0 else { return nil }
        return quota.multipliedReportingOverflow(by: all).overflow ? nil : quota * all / period
    }
}
