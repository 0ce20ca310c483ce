import Testing

@testable import TesseraNode

@Suite struct ProcessorShareTests {
    private func share(_ threads: Int, _ files: [String: String]) -> Int {
        ProcessorShare.ofThreads(threads) { files[$0] }
    }

    @Test("the tightest quota counts, in version 1")
    func version1() {
        let cpu = "/sys/fs/cgroup/cpu"
        let files = [
            "/proc/self/cgroup": "9:cpu,cpuacct:/a/b\n4:memory:/a/b\n",
            "\(cpu)/cpu.cfs_quota_us": "-1\n", "\(cpu)/cpu.cfs_period_us": "100000\n",
            "\(cpu)/a/cpu.cfs_quota_us": "5000\n", "\(cpu)/a/cpu.cfs_period_us": "10000\n",
            "\(cpu)/a/b/cpu.cfs_quota_us": "1200\n", "\(cpu)/a/b/cpu.cfs_period_us": "10000\n",
        ]
        #expect(share(1, files) == 120)
        #expect(share(2, files) == 60)
    }

    @Test("version 2 is read, and more than all is all")
    func version2() {
        let files = [
            "/proc/self/cgroup": "0::/board\n", "/sys/fs/cgroup/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/board/cpu.max": "150000 100000\n",
        ]
        #expect(share(1, files) == 1_000)
        #expect(share(2, files) == 750)
        #expect(share(4, files) == 375)
    }

    @Test("threads beside the engine's have a quota of their own, or share the process's")
    func beside() {
        let files = [
            "/proc/self/cgroup": "9:cpu:/a/engine\n4:memory:/a\n",
            "/sys/fs/cgroup/cpu/a/engine/cpu.cfs_quota_us": "1000\n",
            "/sys/fs/cgroup/cpu/a/engine/cpu.cfs_period_us": "10000\n",
            "/sys/fs/cgroup/cpu/a/agent/cpu.cfs_quota_us": "4000\n",
            "/sys/fs/cgroup/cpu/a/agent/cpu.cfs_period_us": "10000\n",
        ]
        func beside(_ groups: String?) -> Int? {
            ProcessorShare.beside(groups: groups) { files[$0] }
        }
        #expect(share(1, files) == 100)
        #expect(beside("9:cpu:/a/agent\n4:memory:/a\n") == 400)
        #expect(beside("9:cpu:/a/engine\n4:memory:/a\n") == nil)
        #expect(beside("9:cpu:/elsewhere\n") == nil)
        #expect(beside(nil) == nil)
    }

    @Test(
        "no quota, or none that can be read, is all",
        arguments: [
            [:], ["/proc/self/cgroup": "nonsense\n"],
            ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "9223372036854775807 x\n"],
            ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "0 0\n"],
        ] as [[String: String]])
    func none(files: [String: String]) {
        #expect(share(1, files) == 1_000)
    }
}
