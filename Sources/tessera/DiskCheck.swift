#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Whether an agent can keep its things in a folder, and others cannot get at them.
enum DiskCheck {
    /// Files that only the agent's user may read.
    private static let privateFiles = ["identity.key", "admin.token", "api.tokens", "mesh.secret"]

    /// Who owns something, and who else may do what with it.
    struct Access: Equatable {
        /// The user.
        var owner: uid_t
        /// The lowest nine bits of the mode.
        var mode: UInt32

        /// As `chmod` takes it.
        var modeText: String {
            let digits = String(mode, radix: 8)
            return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        }
    }

    /// The folder, as the agent finds it or will make it.
    static func dataFolder(_ folder: String) -> DoctorFinding {
        let name = "data folder"
        guard let access = access(of: folder) else {
            let parent = existingParent(of: folder)
            guard isWritable(parent) else {
                return .failed(
                    name, "\(folder) is not there, and \(parent) is not writable",
                    next: "make it, or name another with --data-dir")
            }
            return .good(name, "\(folder) is made at the first start")
        }
        guard isWritable(folder) else {
            return .failed(
                name, "\(folder) is not writable: \(Files.systemReason())",
                next: "give the user that runs the agent access, or name another with --data-dir")
        }
        if let finding = finding(name, folder, access) { return finding }
        for file in privateFiles {
            let path = folder + "/" + file
            guard let access = Self.access(of: path), access.mode & 0o077 != 0 else { continue }
            return .failed(
                name, "\(path) can be read or changed by other users (mode \(access.modeText))",
                next: "run `chmod 600 \(path)`; if others may have read it, make it anew")
        }
        return .good(name, "\(folder) is writable, mode \(access.modeText)")
    }

    /// What is wrong with who may do what in the folder; nil if nothing is.
    private static func finding(
        _ name: String, _ folder: String, _ access: Access
    ) -> DoctorFinding? {
        if access.mode & 0o022 != 0 {
            return .failed(
                name, "other users may change \(folder) (mode \(access.modeText))",
                next: "run `chmod 700 \(folder)`")
        }
        // Root looks after the folders of others: that of the packaged service is its user's.
        guard access.owner == geteuid() || geteuid() == 0 else {
            return .warning(
                name, "\(folder) belongs to user \(access.owner), and you are \(geteuid())",
                next: "run the agent, and this command, as the user that owns it")
        }
        return nil
    }

    private static func access(of path: String) -> Access? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Access(owner: status.st_uid, mode: UInt32(status.st_mode) & 0o777)
    }

    /// Whether a file can be made in a folder: rights alone do not say it.
    private static func isWritable(_ folder: String) -> Bool {
        var template = Array((folder + "/.tessera-doctor-XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { return false }
        let hasWritten = write(descriptor, "x", 1) == 1
        let reason = errno
        close(descriptor)
        unlink(template)
        errno = reason
        return hasWritten
    }

    static func existingParent(of path: String) -> String {
        var path = path.hasPrefix("/") ? path : "./" + path
        while Self.access(of: path) == nil, let slash = path.lastIndex(of: "/") {
            if slash == path.startIndex { return "/" }
            path = String(path[..<slash])
        }
        return path
    }
}
