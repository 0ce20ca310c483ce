// swift-tools-version: 6.2
import PackageDescription

// `Tools/fuzz` sets it: the parsers in a program of libFuzzer, counted edge by edge. Everybody else
// has the test target that feeds them the corpus.
let isFuzzing = Context.environment["TESSERA_FUZZ"] != nil

// Every own target: Swift 6 language mode, warnings are errors, and the import rules that the
// layers of Docs/Architecture.md rest on.
let strict: [SwiftSetting] =
    [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (isFuzzing ? [.unsafeFlags(["-O", "-sanitize=fuzzer"])] : [])

// What computes for long, planner and simulator and their tests, is optimised in debug builds too, with
// all its assertions: its tests take a fraction of the time.
let computing: [SwiftSetting] =
    strict + [
        .unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))
    ]

// Where Tools/setup puts OpenVINO's runtime when the system has none, and where a packaged agent
// finds it beside itself.
let openVINORunPath: [LinkerSetting] = [
    .unsafeFlags([
        "-Xlinker", "-rpath", "-Xlinker", "\(Context.packageDirectory)/.deps/openvino/libs",
        "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../lib/tessera",
    ])
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(
    name: "UnixSignals", package: "swift-service-lifecycle")
let grpcCore = Target.Dependency.product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport = Target.Dependency.product(
    name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let grpcProtobuf = Target.Dependency.product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

// What Tests/FuzzTests/Parsers feeds.
let fuzzed: [Target.Dependency] = [
    "tessera", "TesseraAPI", "TesseraNode", "TesseraImage", "TesseraModel", "TesseraWire",
    "TesseraCodec", "TesseraCore", "InferenceProtocol", "OpenVINOShim", nioCore, crypto, protobuf,
]

let package = Package(
    name: "tessera",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "tessera", targets: ["tessera"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.7.3"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        // System libraries. pkg-config finds OpenVINO: a system one, or the one in `.deps/`.
        .systemLibrary(name: "COpenVINO", pkgConfig: "openvino"),
        .systemLibrary(name: "CDNSSD"),

        // Core: decides everything, does no I/O, depends on nothing.
        .target(name: "TesseraCore", swiftSettings: computing),

        // Adapters.
        .target(
            name: "TesseraWire", dependencies: ["TesseraCore", nioCore, crypto],
            swiftSettings: computing),
        .target(
            name: "TesseraModel", dependencies: ["TesseraCore", crypto], swiftSettings: strict),
        .target(
            name: "TesseraEngine", dependencies: ["TesseraCore", "COpenVINO"],
            swiftSettings: strict),
        .target(name: "OpenVINOShim", dependencies: ["COpenVINO"]),

        // zstd, and narrower numbers, for slices on slow links.
        .target(name: "CodecShim", linkerSettings: [.linkedLibrary("zstd"), .linkedLibrary("m")]),
        .target(
            name: "TesseraCodec", dependencies: ["TesseraCore", "CodecShim", nioCore],
            swiftSettings: strict),

        // zlib, for compressed bodies.
        .target(name: "ZlibShim", linkerSettings: [.linkedLibrary("z")]),

        // libpng and libjpeg-turbo, for images from people.
        .target(
            name: "ImageShim",
            linkerSettings: [.linkedLibrary("png16"), .linkedLibrary("turbojpeg")]),
        .target(
            name: "TesseraImage", dependencies: ["TesseraCore", "ImageShim"],
            swiftSettings: strict),

        // The files of the dashboard, in the program.
        .target(
            name: "DashboardFiles",
            exclude: [
                "index.html", "dashboard.css", "icon.svg", "main.js", "stream.js", "figures.js",
                "graph.js", "charts.js", "tables.js", "classify.js",
            ]),

        // Edges.
        .target(
            name: "TesseraNode",
            dependencies: [
                "TesseraCore", "TesseraWire", "TesseraCodec", "TesseraModel", "TesseraEngine",
                "CDNSSD", nioCore, nioPosix, nioTLS, nioSSL, crypto, x509, asn1, logging, lifecycle,
                tracing,
            ], swiftSettings: strict),
        .target(
            name: "TesseraAPI",
            dependencies: [
                "TesseraCore", "InferenceProtocol", "ZlibShim", "DashboardFiles",
                "TesseraImage",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdHTTP2", package: "hummingbird"),
                nioCore, nioPosix, nioHTTP2, nioHPACK, nioSSL, crypto, grpcCore, grpcTransport,
                protobuf, lifecycle, logging,
            ], swiftSettings: strict),
        // Generated by Tools/generate-protocol.
        .target(
            name: "InferenceProtocol", dependencies: [grpcCore, grpcProtobuf, protobuf],
            exclude: ["inference.proto"]),
        .target(
            name: "TesseraSimulator", dependencies: ["TesseraCore", "TesseraWire", nioCore],
            swiftSettings: computing),

        // Composition.
        .executableTarget(
            name: "tessera",
            dependencies: [
                "TesseraCore", "TesseraWire", "TesseraModel", "TesseraEngine", "TesseraNode",
                "TesseraAPI", "TesseraSimulator", "TesseraCodec", "OpenVINOShim", logging,
                lifecycle,
                unixSignals,
                yams, crypto,
                nioCore, nioPosix, nioHTTP1,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
            ], swiftSettings: strict, linkerSettings: openVINORunPath),
        // The processes that Tools/Benchmarks/run compares.
        .executableTarget(
            name: "tessera-benchmarks",
            dependencies: [
                "TesseraCore", "TesseraCodec", "TesseraModel", "TesseraEngine", "TesseraNode",
                "OpenVINOShim", nioCore, nioPosix, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Tools/Benchmarks/Sources", swiftSettings: strict,
            linkerSettings: openVINORunPath),

        // Tests.
        .testTarget(
            name: "TesseraCoreTests", dependencies: ["TesseraCore"], swiftSettings: computing),
        .testTarget(
            name: "TesseraWireTests",
            dependencies: ["TesseraWire", "TesseraCore", nioCore, crypto],
            swiftSettings: strict),
        .testTarget(
            name: "TesseraCodecTests", dependencies: ["TesseraCodec", "TesseraCore", nioCore],
            swiftSettings: strict),
        .testTarget(
            name: "TesseraModelTests", dependencies: ["TesseraModel", "TesseraCore", crypto],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "TesseraImageTests", dependencies: ["TesseraImage", "TesseraCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TesseraEngineTests",
            dependencies: ["TesseraEngine", "TesseraModel", "TesseraCore", "OpenVINOShim"],
            exclude: ["Fixtures"],
            swiftSettings: strict, linkerSettings: openVINORunPath),
        .testTarget(
            name: "TesseraNodeTests",
            dependencies: [
                "TesseraNode", "TesseraSimulator", "TesseraWire", "TesseraCodec", "TesseraCore",
                nioCore, nioPosix, nioSSL, crypto, logging, tracing,
            ], swiftSettings: strict, linkerSettings: openVINORunPath),
        .testTarget(
            name: "TesseraAPITests",
            dependencies: [
                "TesseraAPI", "InferenceProtocol", "TesseraCore", nioCore, nioEmbedded, grpcCore,
                grpcTransport, grpcProtobuf, protobuf,
                .product(name: "HummingbirdTesting", package: "hummingbird"),
            ], swiftSettings: strict),
        .testTarget(
            name: "TesseraSimulatorTests",
            dependencies: ["TesseraSimulator", "TesseraWire", "TesseraCore", nioCore],
            swiftSettings: computing),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "tessera", "TesseraAPI", "TesseraNode", "TesseraModel", "TesseraCore",
                "OpenVINOShim", nioCore, logging,
            ],
            swiftSettings: strict, linkerSettings: openVINORunPath),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(
            name: "FuzzTests", dependencies: fuzzed, exclude: ["Corpus", "Driver", "Program"],
            swiftSettings: strict, linkerSettings: openVINORunPath),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

if isFuzzing {
    // A program cannot link another one: the command line becomes a library with its `main` renamed,
    // and nothing but the parsers' program is left beside it.
    let left = package.targets.filter { $0.type != .test && $0.name != "tessera-benchmarks" }
    package.products = []
    package.targets =
        left.map { target in
            guard target.name == "tessera" else { return target }
            return .target(
                name: "tessera", dependencies: target.dependencies,
                swiftSettings: strict + [
                    .unsafeFlags([
                        "-Xfrontend", "-entry-point-function-name", "-Xfrontend", "tessera_main",
                    ])
                ], linkerSettings: openVINORunPath)
        } + [
            .target(name: "FuzzerDriver", path: "Tests/FuzzTests/Driver"),
            .executableTarget(
                name: "tessera-fuzz", dependencies: fuzzed + ["FuzzerDriver"],
                path: "Tests",
                sources: [
                    "FuzzTests/Parsers", "FuzzTests/Program",
                    "TesseraWireTests/SampleGenerator.swift",
                    "TesseraWireTests/RandomMessages.swift", "TesseraWireTests/RandomEvents.swift",
                    "TesseraImageTests/ReferenceImages.swift", "CommandTests/NpzArchive.swift",
                ], swiftSettings: strict, linkerSettings: openVINORunPath),
        ]
}
