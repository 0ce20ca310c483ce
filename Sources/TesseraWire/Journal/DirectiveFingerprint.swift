import NIOCore
package import TesseraCore

/// A fold of what a core asked for after one event: equal directives in equal order have equal
/// fingerprints, in every process and on every machine.
package struct DirectiveFingerprint: Hashable, Sendable {
    /// The fold.
    package var value: UInt64
    /// How many directives.
    package var count: Int

    /// Pairs a fold with a count, as a journal has them.
    package init(value: UInt64, count: Int) {
        self.value = value
        self.count = count
    }

    /// Folds directives.
    package init(_ directives: [Directive]) {
        // What breaks a limit of the wire is folded as well: nobody reads these bytes.
        var writer = WireWriter(capacity: 1_024)
        var count = 0
        for directive in directives {
            // A trace asks for nothing, and what is replayed from a journal has none.
            if case .trace = directive { continue }
            writer.write(directive: directive)
            count += 1
        }
        value = Self.fold(writer.buffer)
        self.count = count
    }

    private static func fold(_ bytes: ByteBuffer) -> UInt64 {
        // FNV-1a over words of 8 bytes, with a shift so that high bits reach the low ones.
        func folded(_ hash: UInt64, _ word: UInt64) -> UInt64 {
            let mixed = (hash ^ word) &* 0x100_0000_01b3
            return mixed ^ mixed >> 29
        }
        return bytes.withUnsafeReadableBytes { raw in
            var hash = folded(0xcbf2_9ce4_8422_2325, UInt64(raw.count))
            var offset = 0
            while offset + 8 <= raw.count {
                let word = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                hash = folded(hash, UInt64(littleEndian: word))
                offset += 8
            }
            for byte in raw[offset...] { hash = folded(hash, UInt64(byte)) }
            return hash
        }
    }
}

extension WireWriter {
    /// Everything of a directive that a shell acts on.
    fileprivate mutating func write(directive: Directive) {
        switch directive {
        case .wake, .connect, .disconnect, .hear, .send, .sendDatagram, .sign:
            write(peerDirective: directive)
        case .fetch, .storeCatalogue, .discard, .compile, .unload, .execute, .plan:
            write(workDirective: directive)
        case .sendSlice, .release, .answer, .judge, .fill, .reject, .digest:
            write(requestDirective: directive)
        case .trace: break
        case .report(let report):
            write(30 as UInt8)
            write(description: report)
        case .leave:
            write(31 as UInt8)
        }
    }

    private mutating func write(peerDirective directive: Directive) {
        switch directive {
        case .wake(let time):
            write(1 as UInt8)
            write(time.nanoseconds)
        case .connect(let address):
            write(2 as UInt8)
            write(journalAddress: address)
        case .disconnect(let peer):
            write(3 as UInt8)
            write(peer)
        case .send(let message, let target):
            write(4 as UInt8)
            write(message)
            write(target)
        case .sendDatagram(let message, let target, let address):
            write(5 as UInt8)
            write(message)
            write(target)
            write(journalAddress: address)
        case .sign(let record):
            write(6 as UInt8)
            write(record)
        case .hear(let member):
            write(7 as UInt8)
            write(member)
        default: break
        }
    }

    private mutating func write(workDirective directive: Directive) {
        switch directive {
        case .fetch(let blob, let isManifest, let source):
            write(10 as UInt8)
            write(blob)
            write(isManifest)
            write(source)
        case .storeCatalogue(let entries):
            write(11 as UInt8)
            write(list: entries, "catalogue", max: WireLimits.catalogueMax)
        case .discard(let manifest):
            write(12 as UInt8)
            write(manifest)
        case .compile(let key, let concurrency):
            write(13 as UInt8)
            write(key)
            write(Int64(concurrency))
        case .unload(let key):
            write(14 as UInt8)
            write(key)
        case .execute(let attempt, let fragment, let key, let inputs, _):
            write(15 as UInt8)
            write(attempt)
            write(Int64(fragment))
            write(key)
            write(Int64(inputs.count))
            for input in inputs { write(joined: input) }
        case .plan(let token, let problem):
            write(16 as UInt8)
            write(token)
            write(problem: problem)
        default: break
        }
    }

    private mutating func write(requestDirective directive: Directive) {
        switch directive {
        case .sendSlice(let header, let piece, let codec, let target):
            write(20 as UInt8)
            write(header)
            write(leftOut: header.leftOut)
            write(piece: piece)
            write(codec)
            write(target)
        case .release(let payload):
            write(21 as UInt8)
            write(payload.number)
        case .answer(let client, let outputs, let detail):
            write(22 as UInt8)
            write(client.number)
            write(Int64(outputs.count))
            for output in outputs { write(joined: output) }
            write(detail.attempt)
            write(Int64(detail.attempts))
            if let exit = detail.exit { write(description: exit) }
            for left in detail.leftOut { write(description: left) }
        case .judge(let attempt, let exit, let tensor, let type, let measure):
            write(25 as UInt8)
            write(attempt)
            write(Int64(exit))
            write(joined: tensor)
            write(description: type)
            write(measure.rawValue)
        case .fill(let attempt, let route, let descriptor, let tensors):
            write(26 as UInt8)
            write(attempt)
            write(Int64(route))
            write(descriptor)
            write(Int64(tensors.count))
            for tensor in tensors { write(joined: tensor) }
        case .reject(let client, let error):
            write(23 as UInt8)
            write(client.number)
            write(description: error)
        case .digest(let client, let inputs):
            write(24 as UInt8)
            write(client.number)
            write(Int64(inputs.count))
            for input in inputs { write(input.number) }
        default: break
        }
    }

    private mutating func write(joined tensor: JoinedTensor) {
        write(Int64(tensor.blocks))
        write(Int64(tensor.pieces.count))
        for piece in tensor.pieces { write(piece: piece) }
    }

    private mutating func write(piece: TensorPiece) {
        write(piece.payload)
        write(piece.cut != nil)
        guard let cut = piece.cut else { return }
        for figure in [
            cut.blocks, cut.rowBytes, cut.heldRows, cut.rows.lowerBound, cut.rows.upperBound,
        ] {
            write(Int64(figure))
        }
    }

    /// The outline is fixed by its manifest.
    private mutating func write(problem: PlanningProblem) {
        write(problem.outline.manifest)
        for node in problem.nodes {
            write(node.member)
            write(journalText: node.name)
            write(node.capability)
            write(Int64(node.freeMemoryBytes))
            write(list: node.times, "times", max: WireLimits.timesMax)
        }
        for link in problem.links {
            write(link.source)
            write(link.destination)
            write(link.bytesPerSecond)
            write(link.latencyMicroseconds)
        }
        write(problem.ballot)
        write(problem.current)
        write(list: problem.lost, "lost", max: WireLimits.viewMax)
        write(
            ModelSettings(
                goal: problem.goal, allowedModes: problem.allowedModes, baseline: problem.baseline,
                keepInputLocal: problem.keepInputLocal, codecs: problem.codecs))
        for exit in problem.exits {
            write(Int64(exit.producer))
            write(Int64(exit.share))
        }
    }

    /// What is rare and for people is folded as its text.
    private mutating func write(description value: some Any) {
        write(raw: String(describing: value).utf8)
    }
}
