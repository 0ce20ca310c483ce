import Testing

@testable import TesseraNode

@Suite struct MemoryRoomTests {
    private func free(_ files: [String: String]) -> Int? {
        MemoryRoom.freeBytes { files[$0] }
    }

    @Test("the tightest group counts, and pages of files count as free, in version 1")
    func version1() {
        let memory = "/sys/fs/cgroup/memory"
        let files = [
            "/proc/self/cgroup": "9:cpu,cpuacct:/a/b\n4:memory:/a/b\n0::/\n",
            "\(memory)/memory.limit_in_bytes": "9223372036854771712\n",
            "\(memory)/memory.usage_in_bytes": "5000\n",
            "\(memory)/a/memory.limit_in_bytes": "2000\n",
            "\(memory)/a/memory.usage_in_bytes": "1900\n",
            "\(memory)/a/memory.stat": "cache 0\ntotal_inactive_file 30\ntotal_active_file 20\n",
            "\(memory)/a/b/memory.limit_in_bytes": "1000\n",
            "\(memory)/a/b/memory.usage_in_bytes": "100\n",
        ]
        #expect(free(files) == 150)
    }

    @Test("version 2 is read, and where the group is not seen its root counts")
    func version2() {
        let files = [
            "/proc/self/cgroup": "0::/outside/of/the/container\n",
            "/sys/fs/cgroup/memory.max": "1000\n", "/sys/fs/cgroup/memory.current": "700\n",
            "/sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 40\nactive_file 1\n",
        ]
        #expect(free(files) == 341)
    }

    @Test(
        "no limit, or none that can be read, is no obstacle",
        arguments: [
            [:], ["/proc/self/cgroup": "nonsense\n\n1:name=systemd:/\n"],
            [
                "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n",
                "/sys/fs/cgroup/memory.current": "700\n",
            ],
        ] as [[String: String]])
    func none(files: [String: String]) {
        #expect(free(files) == nil)
    }

    @Test("nothing at all always has room")
    func admit() throws {
        try MemoryRoom.admit(0)
    }
}
