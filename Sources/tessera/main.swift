import TesseraCore
import TesseraSimulator

let arguments = CommandLine.arguments
let seed = UInt64(arguments[1]) ?? 1
let count = UInt64(arguments[2]) ?? 1
for seed in seed..<(seed + count) {
    var s = Simulation(arguments.count > 3 ? .quiet(seed: seed, nodes: Int(arguments[3])!) : .drawn(seed: seed))
    let o = s.run()
    print(seed, o)
}
