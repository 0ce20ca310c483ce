import Foundation
import Testing

/// The house rules hold everywhere.
@Suite struct TidyTests {
    private static let ownCode = ["Sources", "Tests", "Package.swift"]

    private func expectNone(_ findings: [String]) {
        #expect(findings.isEmpty, "\n\(findings.joined(separator: "\n"))")
    }

    @Test("the core names no clock, no chance, no task and no printing")
    func pureCore() {
        expectNone(
            Repository.findings(below: ["Sources/TesseraCore"]) {
                HouseRules.impurities(SourceText($0))
            })
    }

    @Test("functions fit on a page")
    func functions() {
        expectNone(
            Repository.findings(below: Self.ownCode) { HouseRules.longFunctions(SourceText($0)) })
    }

    @Test("files have one topic")
    func files() {
        expectNone(
            Repository.findings(below: Self.ownCode) { text in
                let count = text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
                guard count > HouseRules.fileLinesMax else { return [] }
                return ["1: a file of \(count) lines; at most \(HouseRules.fileLinesMax)"]
            })
    }

    @Test("a comment explains every escape from the compiler's checks")
    func escapes() {
        expectNone(
            Repository.findings(below: ["Sources", "Tests"]) {
                HouseRules.unexplained(SourceText($0))
            })
    }

    @Test("what is left to do has an issue")
    func looseEnds() {
        let endings: Set<String> = ["swift", "py", "cpp", "h", "md", "sh", ""]
        let all = Repository.files(below: ["Sources", "Tests", "Tools", "Docs"], endings: endings)
        expectNone(
            all.filter { !$0.path.hasPrefix("Tests/TidyTests/") }.flatMap { path, text in
                HouseRules.looseEnds(text).map { "\(path):\($0)" }
            })
    }

    @Test("no file names a path of one machine")
    func machinePaths() {
        let endings: Set<String> = ["swift", "py", "cpp", "h", "md", "sh", "", "yaml", "txt"]
        expectNone(
            Repository.findings(
                below: [
                    "Sources", "Tests", "Tools", "Docs", "Package.swift", "README.md", ".ci/run",
                ],
                endings: endings, HouseRules.machinePaths))
    }

    @Test("a page has one title")
    func titles() {
        expectNone(
            Repository.pages.flatMap { path, text in
                HouseRules.headings(text).map { "\(path):\($0)" }
            })
    }

    @Test("links in pages lead somewhere")
    func links() {
        var findings: [String] = []
        for (path, text) in Repository.pages {
            let folder = Repository.root.appending(path: path).deletingLastPathComponent()
            for (line, target) in HouseRules.links(text) {
                let parts = target.split(
                    separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let file =
                    parts[0].isEmpty
                    ? Repository.root.appending(path: path)
                    : folder.appending(path: String(parts[0]))
                guard FileManager.default.fileExists(atPath: file.standardizedFileURL.path) else {
                    findings.append("\(path):\(line): nothing is at \(target)")
                    continue
                }
                guard parts.count > 1, file.pathExtension == "md",
                    let other = try? String(contentsOf: file, encoding: .utf8)  // It exists.
                else { continue }
                let anchors = other.split(separator: "\n").filter { $0.hasPrefix("#") }
                    .map { HouseRules.anchor($0) }
                if !anchors.contains(String(parts[1])) {
                    findings.append("\(path):\(line): no heading for \(target)")
                }
            }
        }
        expectNone(findings)
    }
}

/// The rules catch what they are for.
@Suite struct HouseRulesTests {
    @Test("comments and texts are no code, and what stands in a text's parentheses is")
    func scanning() {
        let source = SourceText(
            ##"""
            let a = "try? \(b ? "x { " : try? c) // no" // try? d
            /* { /* nested */ { */ let e = #"a " \(f) \#(g)"#
            """##)
        #expect(source.code[0].contains("try? c"))
        #expect(!source.code[0].contains("no"))
        #expect(!source.code[0].contains("d"))
        #expect(!source.code[0].contains("{"))
        #expect(!source.code[1].contains("{"))
        #expect(!source.code[1].contains("f"))
        #expect(source.code[1].contains("g"))
    }

    @Test("the length of functions is that from their first line to their last brace")
    func functionLengths() {
        let body = String(repeating: "    work()\n", count: 69)
        let long = SourceText("func f(\n    a: Int\n) {\n\(body)}\n")
        #expect(long.functions == [SourceText.Function(firstLine: 1, lineCount: 73)])
        #expect(HouseRules.longFunctions(long).count == 1)
        let short = SourceText("protocol P {\n    func f()\n    func g() -> Int\n}\nfunc h() {}\n")
        #expect(short.functions == [SourceText.Function(firstLine: 5, lineCount: 1)])
        let made = SourceText("struct S {\n    init(a: Int = 1) {\n        b()\n    }\n}\n")
        #expect(made.functions.count <= 1)
    }

    @Test(
        "impure lines of the core are found",
        arguments: [
            "let t = Date()", "let t = ContinuousClock.now", "Int.random(in: 0...1)",
            "Task { a() }", "import Foundation", "print(a)", "list.shuffled()",
        ])
    func impurity(line: String) {
        #expect(HouseRules.impurities(SourceText(line)).count == 1)
        #expect(HouseRules.impurities(SourceText("// " + line)).isEmpty)
    }

    @Test("drawing from a given generator is pure")
    func drawing() {
        #expect(HouseRules.impurities(SourceText("Int.random(in: 0...1, using: &g)")).isEmpty)
    }

    @Test("an escape wants a reason")
    func reasons() {
        #expect(HouseRules.unexplained(SourceText("\ntry? close()\n")).count == 1)
        #expect(HouseRules.unexplained(SourceText("// It is gone.\ntry? close()\n")).isEmpty)
        #expect(HouseRules.unexplained(SourceText("\nvar a: Entry? = nil\n")).isEmpty)
        #expect(HouseRules.unexplained(SourceText("try? close()  // It is gone.\n")).isEmpty)
        #expect(
            HouseRules.unexplained(SourceText("// Guarded by a lock.\nlet a = 1\n}\ntry? b()\n"))
                .count == 1)
    }

    @Test("loose ends, machine's paths, titles and links are found")
    func pages() {
        let end = "TO" + "DO"
        #expect(HouseRules.looseEnds("// \(end): later").count == 1)
        #expect(HouseRules.looseEnds("// \(end)(#12): later").isEmpty)
        #expect(HouseRules.machinePaths("see /" + "work/x").count == 1)
        #expect(HouseRules.headings("# A\n```\n# not one\n```\n").isEmpty)
        #expect(HouseRules.headings("# A\n# B\n").count == 1)
        #expect(HouseRules.headings("text\n").count == 1)
        let links = HouseRules.links("[a](b.md#c) and [d](https://e) and [f](#g)\n")
        #expect(links.map(\.target) == ["b.md#c", "#g"])
        #expect(HouseRules.anchor("## What a *plan* is") == "what-a-plan-is")
    }
}
