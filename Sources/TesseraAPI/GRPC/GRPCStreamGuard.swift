import GRPCCore
import Hummingbird
import InferenceProtocol
import NIOCore
import NIOHPACK
import NIOHTTP2

/// Stands before a stream of gRPC: checks who calls before a byte of a request is kept, counts the
/// bytes, ends a stream whose client sends its request too slowly, and answers compressed only who asked compressed.
///
/// Everything happens on the stream's event loop.
final class GRPCStreamGuard: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private static let servedMethods = Set(
        Inference_GRPCInferenceService.Method.descriptors.map(\.method))
    /// The methods that only read.
    private static let readingMethods = [
        "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelConfig",
        "RepositoryIndex",
    ]
    /// The method whose clients may be silent between requests.
    private static let streamMethod = "ModelStreamInfer"

    private let guardian: GRPCGuardian
    private let name: String
    private let ledger: StreamLedger
    private var isRefused = false
    private var didAnswer = false
    private var mayBeSilent = false
    private var silence: Scheduled<Void>?
    /// Bytes that came since somebody last looked.
    private var received = 0
    private var reader: GRPCMessageReader

    init(guardian: GRPCGuardian, name: String, ledger: StreamLedger) {
        self.guardian = guardian
        self.name = name
        self.ledger = ledger
        reader = GRPCMessageReader(
            coding: .identity, limit: guardian.requestBytesMax, ledger: ledger)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        switch unwrapInboundIn(data) {
        case .headers(var frame):
            do throws(APIError) {
                try check(frame.headers)
            } catch {
                return refuse(error, context: context)
            }
            if silence == nil, !frame.endStream { watchForSilence(context: context) }
            prepare(&frame.headers)
            if frame.endStream { endSilence() }
            context.fireChannelRead(wrapInboundOut(.headers(frame)))
        case .data(var frame):
            guard case .byteBuffer(let bytes) = frame.data else { return }
            received += bytes.readableBytes
            frame.data = .byteBuffer(ByteBuffer())
            do {
                frame.data = .byteBuffer(try reader.read(bytes))
            } catch let error as APIError {
                return refuse(error, context: context)
            } catch {
                return refuse(.badRequest("the request cannot be read"), context: context)
            }
            if frame.endStream { endSilence() }
            context.fireChannelRead(wrapInboundOut(.data(frame)))
        case let other: context.fireChannelRead(wrapInboundOut(other))
        }
    }

    func write(
        context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?
    ) {
        if isRefused {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        didAnswer = true
        context.write(data, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) { endSilence() }

    func channelInactive(context: ChannelHandlerContext) {
        endSilence()
        context.fireChannelInactive()
    }

    // MARK: Who calls

    private func check(_ headers: HPACKHeaders) throws(APIError) {
        // Trailers of a client mean nothing.
        guard let path = headers.first(name: ":path") else { return }
        let method = path.split(separator: "/").last.map(String.init) ?? ""
        mayBeSilent = method == Self.streamMethod
        try guardian.access.check(
            AccessControl.Caller(
                authority: headers.first(name: ":authority") ?? headers.first(name: "host") ?? "",
                origins: headers["origin"], site: headers.first(name: "sec-fetch-site"),
                authorization: headers.first(name: "authorization")),
            needs: Self.right(toCall: method))
    }

    /// What is not known to do less needs the highest right; what is not served at all is refused as
    /// such, to whoever may read.
    private static func right(toCall method: String) -> APIRight {
        if readingMethods.contains(method) || !servedMethods.contains(method) { return .read }
        return ["ModelInfer", streamMethod].contains(method) ? .infer : .admin
    }

    /// Names the ledger, and says how the answer is compressed: as the request, or not at all.
    ///
    /// Many clients accept what they do not want: gRPC's libraries accept everything by default.
    private func prepare(_ headers: inout HPACKHeaders) {
        // Trailers of a client mean nothing.
        guard headers.contains(name: ":path") else { return }
        headers.remove(name: GRPCGuardian.streamField)
        headers.add(name: GRPCGuardian.streamField, value: name)
        let accepted = headers[canonicalForm: "grpc-accept-encoding"].map { String($0) }
        headers.remove(name: "grpc-accept-encoding")
        // What is not known is for the transport to refuse.
        guard let name = headers.first(name: "grpc-encoding"),
            let coding = ContentCoding(rawValue: name)
        else { return }
        headers.remove(name: "grpc-encoding")
        reader = GRPCMessageReader(
            coding: coding, limit: guardian.requestBytesMax, ledger: ledger)
        if accepted.contains(name) { headers.add(name: "grpc-accept-encoding", value: name) }
    }

    // MARK: Silence

    private func watchForSilence(context: ChannelHandlerContext) {
        guard !mayBeSilent else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        silence = context.eventLoop.scheduleTask(in: guardian.window) {
            let (handler, context) = bound.value
            guard handler.silence != nil else { return }
            if handler.received >= handler.guardian.bytesPerWindowMin {
                handler.received = 0
                handler.watchForSilence(context: context)
                return
            }
            handler.guardian.metrics.note(.bodyTime)
            handler.refuse(
                APIError(
                    status: .gatewayTimeout, message: "the request did not come whole in time"),
                context: context)
        }
    }

    private func endSilence() {
        silence?.cancel()
        silence = nil
    }

    // MARK: Refusing

    /// Answers with an error and ends the stream, whatever still comes.
    private func refuse(_ error: APIError, context: ChannelHandlerContext) {
        isRefused = true
        guardian.metrics.noteLimit(of: error)
        endSilence()
        var trailers = HPACKHeaders()
        if !didAnswer {
            trailers.add(name: ":status", value: "200")
            trailers.add(name: "content-type", value: "application/grpc")
        }
        trailers.add(name: "grpc-status", value: "\(error.rpcErrorCode.rawValue)")
        trailers.add(name: "grpc-message", value: Self.percentEncoded(error.message))
        for (name, value) in error.retryFields { trailers.add(name: name, value: value) }
        context.write(
            wrapOutboundOut(.headers(.init(headers: trailers, endStream: true))), promise: nil)
        // The client need not send the rest.
        context.writeAndFlush(wrapOutboundOut(.rstStream(.noError)), promise: nil)
    }

    /// A message as gRPC sends it: all but printable ASCII is `%XX`.
    static func percentEncoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count < 2 ? "0" : "") + digits
            }
        }
        return result
    }
}
