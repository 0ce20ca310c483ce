/// Files that only the agent's user may read.
public enum PrivateFile {
    /// Replaces the file, readable and writable by its owner only, or leaves it as it was.
    public static func write(_ path: String, _ bytes: [UInt8]) throws(StoredFileError) {
        try StoredFile.replace(path, bytes: bytes)
    }
}
