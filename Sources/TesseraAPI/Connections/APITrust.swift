public import NIOSSL

/// Whom a client of an agent's API trusts over TLS.
public enum APITrust {
    /// What a client connects with.
    ///
    /// - Parameters:
    ///   - authorities: Certificates in PEM form that are trusted; nil for those of the system.
    ///   - isNameChecked: Whether the agent's name or address must be in its certificate.
    /// - Returns: The configuration; nil if there is no certificate in `authorities`.
    public static func configuration(
        authorities: [UInt8]?, isNameChecked: Bool
    ) -> TLSConfiguration? {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if !isNameChecked {
            configuration.certificateVerification = .noHostnameVerification
        }
        guard let authorities else { return configuration }
        // What is no certificate throws; none at all would trust nobody.
        let certificates = (try? NIOSSLCertificate.fromPEMBytes(authorities)) ?? []
        guard !certificates.isEmpty else { return nil }
        configuration.trustRoots = .certificates(certificates)
        return configuration
    }

    /// Whether TLS itself is what failed.
    public static func isFailure(_ error: any Error) -> Bool {
        error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
    }
}
