#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How many files and sockets the process may have open.
enum FileLimit {
    /// The connections of the API, two for each of 256 peers, blobs and what libraries open, and as
    /// much again.
    private static let wanted: rlim_t = 4_096

    /// Takes what an agent needs, as far as the system gives it without a word of root.
    ///
    /// The usual 1,024 are fewer than the connections that an agent lets in.
    static func raise() {
        #if canImport(Darwin)
        let files = RLIMIT_NOFILE
        #else
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #endif
        var limit = rlimit()
        guard getrlimit(files, &limit) == 0, limit.rlim_cur < wanted else { return }
        limit.rlim_cur = min(wanted, limit.rlim_max)
        // With fewer the agent serves fewer.
        _ = setrlimit(files, &limit)
    }
}
