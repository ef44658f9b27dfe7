// swift-tools-version: 6.1
import PackageDescription

// One target per floor; imports only go down (docs/design.md). The manifest is the proof.

/// The kernel sources, compiled once more for an instruction set. `Sources/KernelsAVX2` and
/// `Sources/KernelsAVX512` are symbolic links to `Sources/Kernels`; `-march` reaches Swift's code generator
/// through the Clang importer. `-disable-cmo`: nothing built for one instruction set may be inlined elsewhere.
func kernels(_ name: String, define: String? = nil, march: String? = nil) -> Target {
    .target(
        name: name, dependencies: ["KernelInterface", "CPrefetch"],
        swiftSettings: (define.map { [.define($0)] } ?? [])
            + [.unsafeFlags(["-Ounchecked", "-disable-cmo"] + (march.map { ["-Xcc", "-march=\($0)"] } ?? []))])
}

#if arch(x86_64)
let kernelTargets: [Target] = [
    kernels("Kernels"),
    kernels("KernelsAVX2", define: "LVO_AVX2", march: "haswell"),
    kernels("KernelsAVX512", define: "LVO_AVX512", march: "skylake-avx512"),
]
#else
let kernelTargets: [Target] = [kernels("Kernels")]
#endif
let kernelDependencies = kernelTargets.map { Target.Dependency(stringLiteral: $0.name) }

let numerics = "swift-numerics"
let realModule = Target.Dependency.product(name: "RealModule", package: numerics)
let complexModule = Target.Dependency.product(name: "ComplexModule", package: numerics)

let package = Package(
    name: "lvo",
    products: [
        .executable(name: "lvo", targets: ["lvo"]),
        .library(name: "LVO", targets: ["Ops", "StableDiffusion", "SparseAutoencoders", "Visualization"]),
        .library(name: "ReferenceKernels", targets: ["ReferenceKernels"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-numerics", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.0.0"..<"5.0.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    ],
    targets: kernelTargets + [
        // Floor 0
        .systemLibrary(name: "CPrefetch"),
        .target(name: "KernelInterface"),
        .target(name: "ReferenceKernels", dependencies: [realModule, complexModule]),
        // Floor 1
        .target(name: "Parallel"),
        .target(name: "Tensors"),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        // Floor 2
        .target(
            name: "Ops", dependencies: ["KernelInterface", "Parallel", "Tensors"] + kernelDependencies),
        .target(name: "Checkpoints", dependencies: ["Tensors"]),
        .target(name: "Pictures", dependencies: ["CPNG", "Tensors"]),
        // Floor 3
        .target(name: "Optimizers", dependencies: ["Tensors", "Ops"]),
        .target(
            name: "StableDiffusion", dependencies: ["Ops", "Checkpoints", "Tensors"],
            resources: [.copy("Resources")]),
        .target(
            name: "Reports", dependencies: ["Pictures", "Checkpoints", "Tensors"],
            resources: [.embedInCode("Assets")]),
        // Floor 4
        .target(
            name: "SparseAutoencoders",
            dependencies: ["Ops", "Optimizers", "Checkpoints", "Tensors"]),
        // Floor 5
        .target(
            name: "Visualization",
            dependencies: ["StableDiffusion", "SparseAutoencoders", "Optimizers", "Ops", "Tensors", "Checkpoints"]),
        // Floor 6
        .target(
            name: "Studies",
            dependencies: [
                "Visualization", "Reports", "Pictures", "StableDiffusion", "SparseAutoencoders", "Checkpoints",
                "Yams", .product(name: "Crypto", package: "swift-crypto"),
            ],
            resources: [.copy("Resources")]),
        // Floor 7
        .executableTarget(
            name: "lvo",
            dependencies: [
                "Studies", "Visualization", "Pictures", "Reports", "StableDiffusion", "SparseAutoencoders",
                "Checkpoints", "Ops", "Tensors", "Parallel",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "TestSupport",
            dependencies: ["Checkpoints", "Tensors", "Ops", realModule, complexModule], path: "Tests/TestSupport"),
        .testTarget(name: "TestSupportTests", dependencies: ["TestSupport"]),
        .testTarget(name: "KernelsTests", dependencies: ["TestSupport", "ReferenceKernels", "Ops"]),
        .testTarget(name: "OpsTests", dependencies: ["TestSupport", "ReferenceKernels", "Ops"]),
        .testTarget(
            name: "CheckpointsTests", dependencies: ["TestSupport", "Checkpoints"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "PicturesTests", dependencies: ["TestSupport", "Pictures"], resources: [.copy("Fixtures")]),
        .testTarget(
            name: "StableDiffusionTests", dependencies: ["TestSupport", "StableDiffusion"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "SparseAutoencodersTests", dependencies: ["TestSupport", "SparseAutoencoders"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "VisualizationTests", dependencies: ["TestSupport", "Visualization", "Optimizers"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "StudiesTests", dependencies: ["TestSupport", "Studies", "Reports"],
            resources: [.copy("Fixtures")]),
        .testTarget(name: "lvoTests", dependencies: ["TestSupport", "Pictures", "Checkpoints"]),
    ],
    swiftLanguageModes: [.v6]
)
