#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The process's environment and what follows from it.
enum Environment {
    /// The value of a variable; nil if it is not set.
    static func value(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Where an agent keeps its data if nobody says: the machine's place for root, else the user's
    /// (XDG base directories).
    static var defaultDataFolder: String {
        if geteuid() == 0 { return "/var/lib/tessera" }
        if let data = value("XDG_DATA_HOME"), data.hasPrefix("/") { return data + "/tessera" }
        return (value("HOME") ?? ".") + "/.local/share/tessera"
    }

    /// The settings of the service that the package installs; nil if there is none, or its data is
    /// not to be seen by this user.
    static var serviceSettings: String? {
        let path = "/etc/tessera/agent.yaml"
        return geteuid() == 0 && access(path, R_OK) == 0 ? path : nil
    }

    /// The name of this machine up to the first dot: an agent's name if nobody says.
    static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "agent" }
        let bytes = buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        let name = String(decoding: bytes, as: UTF8.self).prefix { $0 != "." }
        return name.isEmpty ? "agent" : String(name)
    }
}
