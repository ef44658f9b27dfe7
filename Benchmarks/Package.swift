// swift-tools-version: 6.3
import Foundation
import PackageDescription

/// Where Debian's libomp-dev puts the library for the linker: a folder named by LLVM's version, of which the newest is
/// taken. Elsewhere LVO_LIBOMP names it.
let openMP: String = {
    if let folder = Context.environment["LVO_LIBOMP"] { return folder }
    let folders = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
    return folders.map { "/usr/lib/\($0)/lib" }
        .filter { $0.contains("/llvm-") && FileManager.default.fileExists(atPath: "\($0)/libomp.so") }
        .max { $0.compare($1, options: .numeric) == .orderedAscending } ?? "/usr/lib"
}()

// A package of its own, so that nobody who builds lvo builds the harness. Needs libomp-dev for the C baseline.
let package = Package(
    name: "lvo-benchmarks",
    dependencies: [
        .package(name: "lvo", path: ".."),
        .package(url: "https://github.com/ordo-one/benchmark", .upToNextMinor(from: "1.38.1"), traits: []),
    ],
    targets: [
        .target(
            name: "OpenMPBaseline", cSettings: [.unsafeFlags(["-O3", "-march=native", "-fopenmp"])],
            linkerSettings: [.unsafeFlags(["-L\(openMP)"]), .linkedLibrary("omp")]),
        .executableTarget(
            name: "KernelBenchmarks",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"), .product(name: "Benchmarking", package: "lvo"),
                .product(name: "LVO", package: "lvo"), "OpenMPBaseline",
            ],
            path: "Benchmarks/KernelBenchmarks",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ],
    swiftLanguageModes: [.v6]
)
