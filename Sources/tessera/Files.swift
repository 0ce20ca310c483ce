#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The command line's own files.
enum Files {
    /// The bytes of a file of at most `bytesMax`.
    static func read(_ path: String, bytesMax: Int, what: String) throws -> [UInt8] {
        let size = try size(of: path, what: what)
        guard size <= bytesMax else {
            throw CommandFailure(
                "\(what) \(path) has \(size) bytes, and at most \(bytesMax) are read. "
                    + "Check that it is the right file.")
        }
        do {
            return Array(try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw CommandFailure("\(what) \(path) cannot be read: \(reason(error)).")
        }
    }

    /// Whether this user may read what is at the path.
    static func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// The size of a regular file.
    static func size(of path: String, what: String) throws -> Int {
        let attributes: [FileAttributeKey: Any]
        do {
            attributes = try FileManager.default.attributesOfItem(atPath: path)
        } catch {
            throw CommandFailure(
                "\(what) \(path) cannot be read: \(reason(error)). Check the path.")
        }
        guard attributes[.type] as? FileAttributeType == .typeRegular,
            let size = attributes[.size] as? Int
        else { throw CommandFailure("\(what) \(path) is not a regular file. Check the path.") }
        return size
    }

    /// Writes a file whole: under another name first, so that nobody sees half of it.
    static func write(_ path: String, _ bytes: [UInt8]) throws {
        do {
            try Data(bytes).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw CommandFailure("\(path) cannot be written: \(reason(error)).")
        }
    }

    /// Makes a folder and those above it.
    static func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure("the folder \(path) cannot be made: \(reason(error)).")
        }
    }

    /// Runs `body` with a new folder that only this user may read, and removes it after.
    static func withTemporaryFolder<Result>(
        _ body: (String) async throws -> Result
    ) async throws
        -> Result
    {
        var template = Array(
            ((Environment.value("TMPDIR") ?? "/tmp") + "/tessera-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure(
                "no temporary folder can be made: \(systemReason()). Set TMPDIR to a folder that "
                    + "has room for the model.")
        }
        let path = String(
            decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer {
            // The system clears the temporary folder if this fails.
            try? FileManager.default.removeItem(atPath: path)
        }
        return try await body(path)
    }

    /// What the system says about the last failed call.
    static func systemReason(_ number: Int32 = errno) -> String {
        String(cString: strerror(number))
    }

    static func reason(_ error: any Error) -> String {
        // Foundation hides the system's words in the error beneath.
        if let posix = (error as? CocoaError)?.underlying as? POSIXError {
            return String(cString: strerror(posix.code.rawValue))
        }
        return String(describing: error)
    }
}
