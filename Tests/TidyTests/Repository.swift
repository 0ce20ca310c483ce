import Foundation

/// The files of this repository.
enum Repository {
    /// Its folder.
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// Files that are kept, below a folder, with one of these endings: path from the root and text.
    static func files(
        below folders: [String], endings: Set<String>
    ) -> [(path: String, text: String)] {
        folders.flatMap { folder -> [(String, String)] in
            let place = root.appending(path: folder)
            let walk = FileManager.default.enumerator(
                at: place, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
            let found = (walk?.compactMap { $0 as? URL } ?? []) + [place]
            return found.sorted { $0.path < $1.path }.compactMap { file in
                // Folders are no text; generated code follows its generator's rules.
                guard !file.path.hasSuffix(".pb.swift"), !file.path.hasSuffix(".grpc.swift"),
                    endings.contains(file.pathExtension),
                    let text = try? String(contentsOf: file, encoding: .utf8)
                else { return nil }
                return (String(file.path.dropFirst(root.path.count + 1)), text)
            }
        }
    }

    /// Every page.
    static var pages: [(path: String, text: String)] {
        files(below: ["Docs", "Tools", "Topologies"], endings: ["md"])
            + ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].flatMap {
                files(below: [$0], endings: ["md"])
            }
    }

    /// What the rule finds, with the path in front.
    static func findings(
        below folders: [String], endings: Set<String> = ["swift"],
        _ rule: (String) -> [String]
    ) -> [String] {
        files(below: folders, endings: endings).flatMap { path, text in
            rule(text).map { "\(path):\($0)" }
        }
    }
}
