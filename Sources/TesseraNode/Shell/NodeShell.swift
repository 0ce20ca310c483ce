import Logging
public import NIOCore
import NIOPosix
import Synchronization
public import TesseraCore
import TesseraEngine
import TesseraModel
import TesseraWire

/// Drives the core: turns what happens into events, and carries directives out.
///
/// All of it runs on the control loop, one event at a time, without waiting in between; what blocks
/// (engine, disk, planning) runs on threads of its own and comes back as an event. It decides
/// nothing.
final class NodeShell: @unchecked Sendable {
    let loop: any EventLoop
    let transport: PeerTransport
    let engine: EngineRoom
    let library: ModelLibrary
    let identity: NodeIdentity
    let log: EventLog
    let catalogueFile: CatalogueFile
    let disk: NIOThreadPool
    let logger: Logger
    /// Spans of requests; nil if nobody wants them.
    let traces: TraceRecorder?
    let started = MonotonicClock.now
    /// The core's `modelsVersion`, for every thread.
    let modelsVersion = Atomic<UInt64>(0)

    /// Fragments whose time of compiling is kept: those of all plans of a long day.
    private static let compileTimesMax = 4_096

    // `@unchecked Sendable`: everything below is touched on the control loop only.
    var agent: Agent
    var payloads = PayloadStore()
    var clients: [ClientID: EventLoopPromise<InferenceResult>] = [:]
    var nextClient: UInt64 = 1
    /// How long each fragment took to be compiled last.
    private(set) var compileMicroseconds: [FragmentKey: Int64] = [:]
    /// What the core is given is written down, if the operator wants it.
    private var journal: JournalFile?
    private var events: [Event] = []
    private var isHandling = false
    private var wake: Scheduled<Void>?
    private let left: EventLoopPromise<Void>
    private(set) var isStopped = false

    init(
        loop: any EventLoop, transport: PeerTransport, engine: EngineRoom, library: ModelLibrary,
        identity: NodeIdentity, log: EventLog, catalogueFile: CatalogueFile, disk: NIOThreadPool,
        agent: Agent, journal: JournalFile?, left: EventLoopPromise<Void>,
        traces: TraceRecorder?, logger: Logger
    ) {
        self.traces = traces
        self.loop = loop
        self.transport = transport
        self.engine = engine
        self.library = library
        self.identity = identity
        self.log = log
        self.catalogueFile = catalogueFile
        self.disk = disk
        self.agent = agent
        self.journal = journal
        self.left = left
        self.logger = logger
    }

    /// Begins to drive the core.
    func start() {
        loop.preconditionInEventLoop()
        var directives: [Directive] = []
        let now = MonotonicClock.now
        journal?.willStart(at: now)
        agent.start(at: now, into: &directives)
        journal?.didHandle(directives)
        for directive in directives { carryOut(directive) }
    }

    /// Stops driving: no client is left without an end.
    func stop() {
        loop.preconditionInEventLoop()
        isStopped = true
        wake?.cancel()
        for (client, promise) in clients {
            traces?.requestFailed(client, reason: "the agent stops")
            promise.fail(RequestError.leaving)
        }
        clients = [:]
        journal?.close()
        journal = nil
        log.close()
        left.succeed(())
    }

    /// Hands an event to the core, now if we are on the loop and nothing is being handled.
    func handle(_ event: Event) {
        loop.preconditionInEventLoop()
        events.append(event)
        guard !isHandling else { return }
        isHandling = true
        defer { isHandling = false }
        var next = 0
        var directives: [Directive] = []
        while next < events.count, !isStopped {
            let event = events[next]
            next += 1
            directives.removeAll(keepingCapacity: true)
            let now = MonotonicClock.now
            journal?.willHandle(event, at: now)
            agent.handle(event, at: now, into: &directives)
            journal?.didHandle(directives)
            for directive in directives { carryOut(directive) }
        }
        if journal != nil { checkJournal() }
        events.removeAll(keepingCapacity: true)
        modelsVersion.store(agent.modelsVersion, ordering: .releasing)
    }

    /// Hands an event over from another thread.
    func deliver(_ event: Event) {
        loop.execute { self.handle(event) }
    }

    /// A journal that ended says so once.
    private func checkJournal() {
        guard let reason = journal?.ended else { return }
        journal?.close()
        journal = nil
        logger.error("the journal ends here", metadata: ["reason": "\(reason)"])
        log.append(.limit("the journal ends here: \(reason)", count: 1))
    }

    // MARK: Directives

    private func carryOut(_ directive: Directive) {
        switch directive {
        case .wake(let time):
            wake?.cancel()
            let span = max(0, (time - MonotonicClock.now).nanoseconds)
            wake = loop.scheduleTask(in: .nanoseconds(span)) { self.handle(.woke) }
        case .connect(let address):
            transport.connect(address)
        case .disconnect(let peer):
            transport.disconnect(peer)
        case .hear(let member):
            transport.hear(member)
        case .send(let message, let target):
            transport.send(message, to: target)
            if case .request(.cancel(let attempt)) = message { transport.cancelSlices(attempt) }
        case .sendDatagram(let message, let target, let address):
            transport.sendDatagram(message, to: target, at: address)
        case .sign(let record):
            sign(record)
        case .fetch, .storeCatalogue, .discard:
            carryOutOnDisk(directive)
        case .compile(let key, let concurrency):
            compile(key, concurrency: concurrency)
        case .unload(let key):
            engine.unload(key)
        case .execute(let attempt, let fragment, let key, let inputs, let trace):
            if let trace {
                traces?.runBegan(attempt, fragment: fragment, key: key, trace: trace)
            }
            execute(attempt, fragment, key, inputs)
        case .plan(let token, let problem):
            engine.plan {
                let result = Planner.plan(problem, naming: PlanNaming.name)
                self.deliver(.planned(token: token, result))
            }
        case .sendSlice(let header, let piece, let codec, let target):
            transport.sendSlice(header, payloads.bytes(of: piece), codec: codec, to: target)
        case .release(let payload):
            payloads.release(payload)
        case .answer(let client, let outputs, let detail):
            let buffers = outputs.map { payloads.source(of: $0).bytes() }
            traces?.requestAnswered(client, detail)
            clients.removeValue(forKey: client)?.succeed(
                InferenceResult(outputs: buffers, detail: detail))
        case .judge(let attempt, let exit, let tensor, let type, let measure):
            let confidence = ExitConfidence.millionths(
                of: payloads.source(of: tensor).bytes(), type: type, measure: measure)
            handle(.judged(attempt: attempt, exit: exit, confidence: confidence))
        case .fill(let attempt, let route, let descriptor, let tensors):
            let bytes = TensorFill.bytes(
                of: descriptor, mean: tensors.map { payloads.source(of: $0).bytes() })
            handle(.filled(attempt: attempt, route: route, payloads.insert(bytes)))
        case .reject(let client, let error):
            traces?.requestFailed(client, reason: "\(error)")
            clients.removeValue(forKey: client)?.fail(error)
        case .digest(let client, let inputs):
            let buffers = inputs.map { payloads.buffer($0) }
            disk.submit { _ in self.deliver(.digested(client, InputDigest(of: buffers))) }
        case .trace(let trace): traces?.note(trace)
        case .report(let report):
            log.append(report)
            logger.debug("event", metadata: ["report": "\(report)"])
        case .leave:
            left.succeed(())
        }
    }

    private func sign(_ record: NodeRecord) {
        do {
            let bytes = try record.canonicalBytes()
            let signature = try identity.sign(bytes.readableBytesView)
            handle(
                .signed(
                    SignedRecord(
                        record: record, publicKey: identity.publicKey, signature: signature)))
        } catch {
            // A record beyond a limit of the wire cannot be told; the last one stays in force.
            logger.error("own record not told", metadata: ["reason": "\(error)"])
        }
    }

    private func compile(_ key: FragmentKey, concurrency: Int) {
        engine.build {
            do {
                let begin = MonotonicClock.now
                let fragment = try self.engine.compile(key, concurrency: concurrency)
                let span = (MonotonicClock.now - begin).microseconds
                self.loop.execute {
                    self.engine.keep(fragment, as: key)
                    self.note(span, of: key)
                    self.handle(.compiled(key, memoryBytes: fragment.memoryBytes))
                }
            } catch BlobStoreError.corrupt(.blob(let blob)), BlobStoreError.missing(.blob(let blob))
            {
                self.deliver(.compileLacks(key, blob))
            } catch {
                self.deliver(.compileFailed(key, reason: "\(error)"))
            }
        }
    }

    private func note(_ microseconds: Int64, of key: FragmentKey) {
        if compileMicroseconds.count >= Self.compileTimesMax { compileMicroseconds = [:] }
        compileMicroseconds[key] = microseconds
    }

    private func execute(
        _ attempt: AttemptID, _ fragment: Int, _ key: FragmentKey, _ inputs: [JoinedTensor]
    ) {
        engine.run(
            key, for: attempt.request, inputs: inputs.map { payloads.source(of: $0) },
            sliceCount: inputs.reduce(0) { $0 + $1.pieces.count }
        ) { result in
            self.loop.execute {
                switch result {
                case .success(let (outputs, microseconds)):
                    self.traces?.runEnded(attempt, fragment: fragment, failure: nil)
                    self.logger.debug(
                        "a fragment ran",
                        metadata: [
                            "request": "\(attempt.request.text)", "attempt": "\(attempt.number)",
                            "fragment": "\(fragment)", "microseconds": "\(microseconds)",
                        ])
                    self.handle(
                        .executed(
                            attempt: attempt, fragment: fragment,
                            outputs: outputs.map { self.payloads.insert($0) },
                            microseconds: microseconds))
                case .failure(let error):
                    self.traces?.runEnded(attempt, fragment: fragment, failure: "\(error)")
                    self.logger.warning(
                        "a fragment failed",
                        metadata: [
                            "request": "\(attempt.request.text)", "attempt": "\(attempt.number)",
                            "fragment": "\(fragment)", "reason": "\(error)",
                        ])
                    self.handle(
                        .executionFailed(
                            attempt: attempt, fragment: fragment, reason: "\(error)"))
                }
            }
        }
    }

    // MARK: Disk

    private func carryOutOnDisk(_ directive: Directive) {
        switch directive {
        case .fetch(let blob, let isManifest, let source):
            let item = StoreItem(blob, isManifest: isManifest)
            if library.store.contains(item) {
                // Another model brought it, or the operator did.
                return stored(blob, isManifest: isManifest)
            }
            transport.fetch(
                blob, isManifest: isManifest, from: source,
                resumingAt: library.store.partialByteCount(of: item),
                into: IncomingBlob(store: library.store, item: item))
        case .storeCatalogue(let entries):
            onDisk("storing the catalogue") { try self.catalogueFile.write(entries) }
        case .discard(let manifest):
            onDisk("discarding a model") { try self.library.discard(manifest) }
        default:
            break
        }
    }

    /// A blob or manifest is complete on disk.
    func stored(_ blob: BlobID, isManifest: Bool) {
        guard isManifest else { return deliver(.blobStored(blob)) }
        let words = blob.words
        let manifest = ManifestID(words.0, words.1, words.2, words.3)
        disk.submit { _ in
            do {
                let found = try self.library.outlineWithBlobs(manifest)
                self.deliver(.manifestStored(found.outline, blobs: found.blobs))
            } catch {
                self.logger.error(
                    "a manifest cannot be used",
                    metadata: ["manifest": "\(manifest)", "reason": "\(error)"])
            }
        }
    }

    private func onDisk(_ what: String, _ work: @escaping @Sendable () throws -> Void) {
        disk.submit { _ in
            do {
                try work()
            } catch {
                self.logger.error("\(what) failed", metadata: ["reason": "\(error)"])
                self.loop.execute {
                    self.log.append(.limit("\(what) failed: \(error)", count: 1))
                }
            }
        }
    }
}

/// What a client gets.
public struct InferenceResult: Sendable {
    /// The bytes of each model output, in the model's order.
    public var outputs: [ByteBuffer]
    /// How the answer came about.
    public var detail: AnswerDetail
}
