import CDNSSD
import Glibc

/// One question to the mDNS daemon.
///
/// Opening it blocks: 1 to 11 ms, or 25 s if the daemon hangs.
enum ServiceRequest: Sendable {
    /// Announce a service.
    case register(name: String, port: UInt16, text: [UInt8])
    /// Name the services of the type, now and later.
    case browse
    /// Say where a service is and what it tells about itself.
    case resolve(ServiceKey, domain: String)
    /// Look up a host's address records of one type on one interface.
    case address(host: String, recordType: UInt16, interface: UInt32)

    /// The registered type of Tessera's agents.
    static let serviceType = "_tessera._tcp"
    /// An IPv4 address record.
    static let recordA: UInt16 = 1
    /// An IPv6 address record.
    static let recordAAAA: UInt16 = 28
    /// The Internet class.
    private static let classIN: UInt16 = 1

    /// Asks; answers go into the inbox whenever the reference is processed, or at once.
    func open(into inbox: ServiceInbox) -> (reference: DNSServiceRef?, code: Int32) {
        _ = Self.prepared
        var reference: DNSServiceRef?
        let context = Unmanaged.passUnretained(inbox).toOpaque()
        let code: Int32
        switch self {
        case .register(let name, let port, let text):
            code = DNSServiceRegister(
                &reference, 0, 0, name, Self.serviceType, nil, nil, port.bigEndian,
                UInt16(truncatingIfNeeded: text.count), text, onRegistered, context)
        case .browse:
            code = DNSServiceBrowse(
                &reference, 0, 0, Self.serviceType, nil, onBrowsed, context)
        case .resolve(let key, let domain):
            code = DNSServiceResolve(
                &reference, 0, key.interface, key.name, Self.serviceType, domain, onResolved,
                context)
        case .address(let host, let recordType, let interface):
            code = DNSServiceQueryRecord(
                &reference, 0, interface, host, recordType, Self.classIN, onRecord, context)
        }
        return (reference, code)
    }

    /// What has to happen once, before the first call of the library: its nagging about its own
    /// interface is muted, and its memory is zeroed (the shim says why).
    static let prepared: Void = {
        setenv("AVAHI_COMPAT_NOWARN", "1", 0)
        tessera_install_zeroing_allocator()
    }()
}

/// One announced service on one interface.
struct ServiceKey: Hashable, Sendable {
    /// The instance's name.
    var name: String
    /// The interface that it was heard on.
    var interface: UInt32
}

/// One answer, copied out of the library's callback.
enum ServiceReply: Hashable, Sendable {
    /// The request failed, or there will be no more answers.
    case failed(code: Int32)
    /// The service is announced under this name.
    case registered(name: String)
    /// A service appeared.
    case added(ServiceKey, domain: String)
    /// A service disappeared.
    case removed(ServiceKey)
    /// Where a service is.
    case resolved(host: String, port: UInt16, text: [UInt8])
    /// An address record appeared.
    case record(type: UInt16, data: [UInt8])
}

/// Where the callbacks of one request put their answers; kept alive as long as its reference, and
/// touched only by the queue that processes it.
final class ServiceInbox {
    /// Answers not handled yet.
    private var replies: [ServiceReply] = []

    /// Adds one.
    fileprivate func put(_ reply: ServiceReply) {
        replies.append(reply)
    }

    /// Takes all.
    func takeAll() -> [ServiceReply] {
        defer { replies = [] }
        return replies
    }

    /// Puts a reply into the inbox that a callback's context points at.
    fileprivate static func put(_ reply: ServiceReply?, _ context: UnsafeMutableRawPointer?) {
        guard let reply, let context else { return }
        Unmanaged<ServiceInbox>.fromOpaque(context).takeUnretainedValue().put(reply)
    }
}

private func text(_ pointer: UnsafePointer<CChar>?) -> String? {
    pointer.map { String(cString: $0) }
}

private let onRegistered: DNSServiceRegisterReply = { _, _, code, name, _, _, context in
    ServiceInbox.put(
        code == 0 ? text(name).map { .registered(name: $0) } : .failed(code: code), context)
}

private let onBrowsed: DNSServiceBrowseReply = {
    _, flags, interface, code, name, _, domain, context in
    guard code == 0 else { return ServiceInbox.put(.failed(code: code), context) }
    guard let name = text(name), let domain = text(domain) else { return }
    let key = ServiceKey(name: name, interface: interface)
    let isAdded = flags & DNSServiceFlags(kDNSServiceFlagsAdd) != 0
    ServiceInbox.put(isAdded ? .added(key, domain: domain) : .removed(key), context)
}

private let onResolved: DNSServiceResolveReply = {
    _, _, _, code, _, host, port, textLength, textBytes, context in
    guard code == 0 else { return ServiceInbox.put(.failed(code: code), context) }
    guard let host = text(host) else { return }
    let bytes = Array(UnsafeBufferPointer(start: textBytes, count: Int(textLength)))
    ServiceInbox.put(
        .resolved(host: host, port: UInt16(bigEndian: port), text: bytes), context)
}

private let onRecord: DNSServiceQueryRecordReply = {
    _, flags, _, code, _, recordType, _, length, data, _, context in
    guard code == 0 else { return ServiceInbox.put(.failed(code: code), context) }
    guard flags & DNSServiceFlags(kDNSServiceFlagsAdd) != 0 else { return }
    let bytes = Array(UnsafeRawBufferPointer(start: data, count: Int(length)))
    ServiceInbox.put(.record(type: recordType, data: bytes), context)
}
