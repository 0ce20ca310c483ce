import ArgumentParser

/// The flags that set an agent; `doctor` takes them too, to look at the same agent.
struct AgentOptions: ParsableArguments {
    @Option(help: "What people call this agent. Default: the machine's name.")
    var name: String?

    @Option(
        help: ArgumentHelp(
            "Where it listens for peers, UDP and TCP. Default: 0.0.0.0:8701.",
            valueName: "host:port"))
    var listen: String?

    @Option(
        help: ArgumentHelp(
            "Where it serves its API over HTTP. Default: 127.0.0.1:8700.", valueName: "host:port"))
    var api: String?

    @Option(
        help: ArgumentHelp(
            """
            The port of the same host where it serves its API over gRPC, 0 for any free one, or \
            off. Default: two above that of --api, 8702; any free one if that is 0.
            """, valueName: "port"))
    var grpcPort: String?

    @Option(
        help: ArgumentHelp(
            "A host name beside loopback under which clients may call the API; repeatable.",
            valueName: "host"))
    var apiHostName: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            The file with a token of your own that allows to read and to infer; tokens are better made \
            with `tessera token add`. With it every call needs a token.
            """, valueName: "file"))
    var apiTokenFile: String?

    @Option(
        help: ArgumentHelp(
            """
            What callers may do without a token. Default: infer on loopback; none beyond, and with \
            --api-token-file.
            """, valueName: "none|read|infer"))
    var apiAnonymous: String?

    @Option(
        help: ArgumentHelp(
            """
            Serve the API over TLS with this certificate, followed by those that signed it (PEM); \
            needs --api-key. New files are taken over while it runs.
            """, valueName: "file"))
    var apiCertificate: String?

    @Option(
        help: ArgumentHelp("The private key of --api-certificate (PEM).", valueName: "file"))
    var apiKey: String?

    @Option(
        name: .customLong("data-dir"),
        help: ArgumentHelp(
            "Where it keeps its identity, models and blobs. Default: "
                + "\(Environment.defaultDataFolder).", valueName: "folder"))
    var dataFolder: String?

    @Option(help: "The mesh's name. Default: home.")
    var mesh: String?

    @Option(
        help: ArgumentHelp(
            "The file with the mesh's secret. Default: mesh.secret in the data folder.",
            valueName: "file"))
    var secretFile: String?

    @Option(
        help: ArgumentHelp(
            """
            How it finds peers: mdns through Avahi, a multicast beacon, auto for the best that \
            works, or none. Default: auto.
            """, valueName: "auto|mdns|beacon|none"))
    var discovery: String?

    @Option(
        help: ArgumentHelp(
            "Where a peer may be, if multicast does not reach it; repeatable.",
            valueName: "host:port"))
    var seed: [String] = []

    @Option(
        help: ArgumentHelp(
            "Memory for models, such as 512M or 2G. Default: half of the machine's.",
            valueName: "bytes"))
    var memory: String?

    @Option(
        help: ArgumentHelp(
            "Disk space for models. Default: half of what is free.", valueName: "bytes"))
    var disk: String?

    @Option(help: "Threads for computing. Default: as many as processors.")
    var threads: String?

    @Option(
        help: ArgumentHelp(
            """
            What the device draws beyond idle while its engine works, such as 6.4; plans by energy \
            use nodes alone that say it. Default: not known. See Docs/Energy.md.
            """, valueName: "watts"))
    var powerWatts: String?

    @Option(help: ArgumentHelp("What is logged. Default: info.", valueName: "level"))
    var logLevel: String?

    @Option(
        help: ArgumentHelp(
            "How it is logged: text, or a JSON object per line. Default: text.",
            valueName: "text|json"))
    var logFormat: String?

    @Option(
        help: ArgumentHelp(
            """
            Write the spans of requests to this file, a line of OTLP's JSON each. At 64 MiB it is \
            kept as FILE.1, and the one before goes.
            """, valueName: "file"))
    var traceFile: String?

    @Option(
        help: ArgumentHelp(
            """
            Write every event of the agent to this file, for simulate --replay; at most 1 GiB. One \
            that is there is kept as FILE.1. Names and addresses are in it, tensors and keys not.
            """, valueName: "file"))
    var journal: String?

    @Option(
        help: ArgumentHelp(
            "A YAML file with the same settings (TESSERA_CONFIG).", valueName: "file"))
    var config: String?

    /// The settings of flags, environment and file, checked; `otherwise` is the file if none is named.
    func configuration(otherwise: String? = nil) throws -> AgentConfiguration {
        var flags: [AgentSetting: [String]] = [:]
        let single: [(AgentSetting, String?)] = [
            (.name, name), (.listen, listen), (.api, api), (.grpcPort, grpcPort),
            (.apiTokenFile, apiTokenFile), (.apiAnonymous, apiAnonymous),
            (.apiCertificate, apiCertificate), (.apiKey, apiKey),
            (.dataFolder, dataFolder), (.mesh, mesh), (.secretFile, secretFile),
            (.discovery, discovery), (.memory, memory), (.disk, disk), (.threads, threads),
            (.powerWatts, powerWatts),
            (.logLevel, logLevel), (.logFormat, logFormat), (.traceFile, traceFile),
            (.journal, journal),
        ]
        for (setting, text) in single { flags[setting] = text.map { [$0] } }
        flags[.apiHostName] = apiHostName
        flags[.seed] = seed
        return try AgentConfiguration(
            AgentSettings(
                flags: flags, environment: Environment.value,
                file: config ?? Environment.value("TESSERA_CONFIG") ?? otherwise))
    }
}

/// `tessera agent`.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Run an agent: this device becomes a part of the mesh.",
        discussion: """
            Every flag is also an environment variable (--data-dir is TESSERA_DATA_DIR) and a line \
            of the YAML file (data-dir: FOLDER); flags go before variables, variables before the \
            file.

            When it is up it prints where it serves gRPC, "grpc: HOST:PORT", and then one line: \
            "ready: api http://HOST:PORT, peers HOST:PORT, node NAME ID". SIGTERM or SIGINT make it leave in order: others take over its part first. A \
            second one stops it at once. SIGHUP makes it read the secret's file again, which it also \
            does within a second after the file has changed.
            """)

    @OptionGroup var options: AgentOptions

    @Flag(help: "Print the effective configuration as YAML, with the origin of each value.")
    var printConfig = false

    @Flag(
        help: """
            If there is no file with the mesh's secret yet, wait until there is one: `tessera mesh \
            join` puts it there.
            """)
    var awaitSecret = false

    func run() async throws {
        let configuration = try options.configuration()
        if printConfig {
            Console.line(configuration.yaml)
            return
        }
        try await AgentRun(configuration, awaitsSecret: awaitSecret).run()
    }
}
