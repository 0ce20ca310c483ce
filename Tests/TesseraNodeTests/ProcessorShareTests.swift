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
