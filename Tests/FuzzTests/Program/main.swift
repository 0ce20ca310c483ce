import FuzzerDriver
import Glibc

// tessera-fuzz PARSER [libFuzzer's arguments]
// tessera-fuzz seeds FOLDER
//
// `Tools/fuzz` builds and starts it.

let name = CommandLine.arguments.dropFirst().first ?? ""
if name == "seeds", CommandLine.arguments.count == 3 {
    try Seeds.write(to: CommandLine.arguments[2])
    exit(0)
}
guard let chosen = Parser(rawValue: name) else {
    print("tessera-fuzz PARSER ...; parsers: \(Parser.allCases.map(\.rawValue))")
    exit(64)
}

/// The parser of this process: libFuzzer's callback takes no context.
// Why unsafe: set here before the loop begins, and read by one thread.
nonisolated(unsafe) var parser = chosen

// libFuzzer would take the parser's name for a folder of inputs: it sees the program's name there.
var count = CommandLine.argc - 1
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
arguments?.pointee = CommandLine.unsafeArgv[0]
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { data, size in
        parser.feed(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    })
