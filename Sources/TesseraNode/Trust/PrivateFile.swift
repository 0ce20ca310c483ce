/// Files that only the agent's user may read.
public enum PrivateFile {
    /// Replaces the file, readable and writable by its owner only, or leaves it as it was.
    ///
    /// What root writes is root's, or on demand that of the folder's owner.
    public static func write(
        _ path: String, _ bytes: [UInt8], isOfFoldersOwner: Bool = false
    ) throws(StoredFileError) {
        try StoredFile.replace(path, bytes: bytes, isOfFoldersOwner: isOfFoldersOwner)
    }

    /// Makes a folder that only its owner may look into, and those above it, unless they are there.
    public static func makeFolder(_ path: String) throws(StoredFileError) {
        try StoredFile.makeFolder(path)
    }

    /// Writes a file that is not there yet, readable and writable by its owner only.
    public static func create(_ path: String, _ bytes: [UInt8]) throws(StoredFileError) {
        try StoredFile.create(path, bytes: bytes)
    }
}
