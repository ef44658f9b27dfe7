// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that nobody who builds lvo builds the harness. Needs libomp-dev for the C baseline.
let package = Package(
    name: "lvo-benchmarks",
    dependencies: [
        .package(name: "lvo", path: ".."),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.29.0", traits: []),
    ],
    targets: [
        .target(
            name: "OpenMPBaseline",
            cSettings: [.unsafeFlags(["-O3", "-march=native", "-fopenmp", "-I/usr/lib/llvm-14/lib/clang/14/include"])],
            linkerSettings: [.unsafeFlags(["-L/usr/lib/llvm-14/lib"]), .linkedLibrary("omp")]),
        .executableTarget(
            name: "KernelBenchmarks",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"), .product(name: "LVO", package: "lvo"),
                "OpenMPBaseline",
            ],
            path: "Benchmarks/KernelBenchmarks",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ],
    swiftLanguageModes: [.v6]
)
