import Logging
import NIOCore
import TesseraCodec
import TesseraCore
import TesseraEngine
import TesseraWire

/// Tells the core what this node can do: measured at its start, and told again when it changes.
///
/// `@unchecked Sendable`: its state is touched on the engine room's builder thread only.
final class SpeedWatch: @unchecked Sendable {
    private let shell: NodeShell
    private let engine: EngineRoom
    private let settings: NodeSettings
    private let file: SpeedFile
    private let logger: Logger
    private var speed: EngineSpeed?
    private var own = OwnWork()
    /// What the threads beside the engine's may use, in thousandths of a core, if that is not a part of
    /// what the engine's threads may use.
    private var processorsBeside: Int?
    private var told: Capability?
    private var toldAt = Timestamp.zero

    /// Quotas change when an operator or a power governor says so; reading them is two small files.
    private static let interval = TimeAmount.seconds(1)
    /// Changes that no plan hangs on are told this far apart at least.
    private static let pause = TimeSpan.seconds(30)
    /// A speed that changed by one in so many is told at once.
    private static let newsPart: UInt64 = 10
    /// Smaller changes of speed and of the handover cost are told in time.
    private static let laterPart: UInt64 = 50
    private static let handoverPart: UInt64 = 7
    /// A handover cost that changed by half belongs to another plan, and is told sooner.
    private static let otherPlanPart: UInt64 = 2
    private static let otherPlanPause = TimeSpan.seconds(10)

    init(
        _ settings: NodeSettings, shell: NodeShell, engine: EngineRoom, logger: Logger
    ) {
        self.settings = settings
        self.shell = shell
        self.engine = engine
        self.logger = logger
        file = SpeedFile(path: settings.dataFolder + "/speed")
    }

    /// Begins to measure.
    func start() {
        engine.build {
            do {
                self.speed = try self.measured()
            } catch {
                return self.logger.error(
                    "the engine cannot be measured; this node only forwards requests",
                    metadata: ["reason": "\(error)"])
            }
            self.shell.deliver(.codecsMeasured(TensorCodec.measure()))
            self.look(tellsPower: true, groups: nil)
        }
    }

    /// What was measured at an earlier start and still holds, or what is measured now.
    private func measured() throws(EngineError) -> EngineSpeed {
        let key = SpeedFile.key(fingerprint: engine.fingerprint, threads: settings.threads)
        do {
            if let known = try file.read(key: key), try engine.confirms(known) { return known }
        } catch let error as EngineError {
            throw error
        } catch {
            logger.warning(
                "what was measured before cannot be read; it is measured anew",
                metadata: ["reason": "\(error)"])
        }
        let speed = try engine.measure()
        do {
            try file.write(speed, key: key)
        } catch {
            logger.warning(
                "what was measured cannot be kept for the next start",
                metadata: ["reason": "\(error)"])
        }
        return speed
    }

    /// Reads clocks and quota, tells what is new, and comes back in a while.
    ///
    /// The power is told while every connected peer knows the figure: a record with one says nothing
    /// to the others, and so the node would be lost to them. `groups` are those of the control loop's
    /// thread.
    private func look(tellsPower: Bool, groups: String?) {
        guard let speed else { return }
        processorsBeside = ProcessorShare.beside(groups: groups)
        let quota = engine.quotaShare
        let processors = settings.threads * quota
        let now = MonotonicClock.now
        if let times = OwnWork.threadTimes() {
            let counters = shell.transport.countersSnapshot
            own.add(
                OwnWork.Reading(
                    at: now, own: times.own, engine: times.engine, tally: engine.tally,
                    blobBytes: counters.blobBytesSent + counters.blobBytesReceived),
                processors: processors)
        }
        // Without a quota, or with one of its own, what the node does anyway finds room beside the
        // engine.
        let isLimited = quota < ProcessorShare.all && processorsBeside == nil
        let share =
            isLimited ? max(1, quota - own.idleThousandths / max(settings.threads, 1)) : quota
        engine.use(share: share)
        var capability = capability(speed, share: share)
        if !tellsPower { capability.milliwatts = nil }
        if isDue(capability, at: now) {
            told = capability
            toldAt = now
            shell.deliver(.capabilityMeasured(capability))
        }
        shell.loop.execute {
            guard !self.shell.isStopped else { return }
            self.shell.loop.scheduleTask(in: Self.interval) {
                let groups = ControlGroup.file(ControlGroup.threadList)
                let tellsPower = self.shell.transport.peerFacts.allSatisfy {
                    Capability.isPowerKnown(toVersion: $0.agreedVersion)
                }
                self.engine.build { self.look(tellsPower: tellsPower, groups: groups) }
            }
        }
    }

    /// What the node can do with a share of its threads, in thousandths.
    private func capability(_ speed: EngineSpeed, share: Int) -> Capability {
        func part(_ rate: UInt64) -> UInt64 {
            max(1, rate * UInt64(share) / UInt64(ProcessorShare.all))
        }
        return Capability(
            threads: settings.threads, memoryBytes: settings.memoryBytes,
            diskBytes: settings.diskBytes,
            operationsPerMicrosecond: part(speed.operationsPerMicrosecond),
            rates: speed.rates.map {
                OperatorRate(
                    family: $0.family,
                    operationsPerMicrosecond: part($0.operationsPerMicrosecond))
            }, movedBytesPerMicrosecond: part(speed.movedBytesPerMicrosecond),
            handover: own.handover(processors: processorsForOwnWork),
            milliwatts: settings.milliwatts,
            fingerprint: engine.fingerprint)
    }

    private func isDue(_ new: Capability, at now: Timestamp) -> Bool {
        guard let told, told.milliwatts == new.milliwatts else { return true }
        let (speed, before) = (new.operationsPerMicrosecond, told.operationsPerMicrosecond)
        if Self.differs(speed, before, by: Self.newsPart) { return true }
        guard let cost = new.handover?.nanosecondsPerSlice,
            let known = told.handover?.nanosecondsPerSlice
        else { return new.handover != told.handover }
        let isOther =
            Self.differs(speed, before, by: Self.laterPart)
            || Self.differs(cost, known, by: Self.handoverPart)
        let isOtherPlan = Self.differs(cost, known, by: Self.otherPlanPart)
        let pause = isOtherPlan ? Self.otherPlanPause : Self.pause
        return isOther && (now - toldAt >= pause || isFirstHandover)
    }

    /// Whether the handover cost was measured, and only an assumed one is told yet.
    private var isFirstHandover: Bool {
        own.handoverThousandths != nil && !hasToldHandover
    }

    private var hasToldHandover: Bool {
        told?.handover.map { $0 != assumedHandover } ?? false
    }

    private var assumedHandover: HandoverCost {
        OwnWork().handover(processors: processorsForOwnWork)
    }

    private var processorsForOwnWork: Int {
        processorsBeside ?? settings.threads * engine.quotaShare
    }

    private static func differs(_ left: UInt64, _ right: UInt64, by part: UInt64) -> Bool {
        (left > right ? left - right : right - left) * part > right
    }
}
