// swift-tools-version: 6.3
import PackageDescription

// One target per floor; imports only go down (docs/design.md). The manifest is the proof.

/// The kernel sources, compiled once more for an instruction set. `Sources/KernelsAVX2` and its like are symbolic
/// links to `Sources/Kernels`; `-march` reaches Swift's code generator through the Clang importer. `-disable-cmo`:
/// nothing built for one instruction set may be inlined elsewhere.
func kernels(_ name: String, path: String? = nil, defines: [String] = [], machine: [String] = []) -> Target {
    .target(
        name: name, dependencies: ["CInstructions", "CPrefetch", "KernelInterface"], path: path,
        swiftSettings: defines.map { .define($0) }
            + [.unsafeFlags(["-Ounchecked", "-disable-cmo"] + machine.flatMap { ["-Xcc", $0] })])
}

#if arch(x86_64)
let kernelTargets: [Target] = [
    kernels("Kernels"),
    kernels("KernelsAVX2", defines: ["LVO_AVX2"], machine: ["-march=haswell"]),
    kernels("KernelsAVX512", defines: ["LVO_AVX512"], machine: ["-march=skylake-avx512"]),
    kernels(
        "KernelsAVX512BF16", defines: ["LVO_AVX512", "LVO_AVX512BF16"],
        machine: ["-march=skylake-avx512", "-mavx512bf16", "-mavx512vnni"]),
    kernels(
        "KernelsAMX", defines: ["LVO_AVX512", "LVO_AVX512BF16", "LVO_AMX"],
        machine: ["-march=skylake-avx512", "-mavx512bf16", "-mavx512vnni", "-mamx-tile", "-mamx-bf16"]),
]
/// For tests on any CPU: the code of `KernelsAMX` on a model of the tile instructions (Sources/Kernels/TileModel.swift).
let modelTargets: [Target] = [
    kernels(
        "KernelsAMXModel", path: "Tests/KernelsAMXModel", defines: ["LVO_AVX512", "LVO_AMX", "LVO_AMX_MODEL"],
        machine: ["-DLVO_AMX_MODEL"])
]
#else
let kernelTargets: [Target] = [
    kernels("Kernels"),
    // Not armv8.6-a, of which bfloat16 is a part: there are Armv8.4 CPUs that have it (Neoverse V1).
    kernels("KernelsNEONBF16", defines: ["LVO_NEONBF16"], machine: ["-march=armv8.2-a+bf16"]),
]
let modelTargets: [Target] = []
#endif
let kernelDependencies = kernelTargets.map { Target.Dependency(stringLiteral: $0.name) }
let modelDependencies = modelTargets.map { Target.Dependency(stringLiteral: $0.name) }

let numerics = "swift-numerics"
let realModule = Target.Dependency.product(name: "RealModule", package: numerics)
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let complexModule = Target.Dependency.product(name: "ComplexModule", package: numerics)

let package = Package(
    name: "lvo",
    products: [
        .executable(name: "lvo", targets: ["lvo"]),
        .library(name: "LVO", targets: ["LVO"]),
        // tools/c-library makes liblvo.so of it (docs/c-interface.md).
        .library(name: "lvoc", type: .dynamic, targets: ["CInterface"]),
        // For Benchmarks/, which verifies what it times.
        .library(name: "Benchmarking", targets: ["Benchmarking", "ReferenceKernels"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.2")),
        .package(url: "https://github.com/apple/swift-numerics", .upToNextMinor(from: "1.1.1")),
        .package(url: "https://github.com/apple/swift-crypto", .upToNextMinor(from: "4.5.2")),
        .package(url: "https://github.com/jpsim/Yams", .upToNextMinor(from: "6.2.2")),
    ],
    targets: kernelTargets + modelTargets + [
        // Floor 0: kernels, and errors and files
        .systemLibrary(name: "CInstructions"),
        .systemLibrary(name: "CPrefetch"),
        .systemLibrary(name: "CThreads"),
        .target(name: "KernelInterface"),
        .target(name: "ReferenceKernels", dependencies: [realModule, complexModule]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebp", providers: [.apt(["libwebp-dev"])]),
        .target(name: "Files", dependencies: [crypto]),
        // Floor 1: threads, numbers
        .target(name: "Parallel", dependencies: ["CThreads"]),
        .target(name: "Tensors"),
        .target(name: "WorkUnits", dependencies: ["Files"]),
        // Floor 2: operations, weights, pictures
        .target(
            name: "Ops",
            dependencies: ["CInstructions", "Files", "KernelInterface", "Parallel", "Tensors"] + kernelDependencies),
        .target(name: "Checkpoints", dependencies: ["Files", "Tensors"]),
        .target(name: "Pictures", dependencies: ["CJPEG", "CPNG", "CWebP", "Files", "Tensors"]),
        // Floor 3: the network, the optimizer, the gallery, benchmarks of operations
        .target(name: "Benchmarking", dependencies: ["Ops", "Parallel", "Tensors"]),
        .target(name: "Optimizers", dependencies: ["Tensors"]),
        .target(
            name: "StableDiffusion", dependencies: ["Checkpoints", "Files", "Ops", "Tensors"],
            resources: [.copy("Resources")]),
        .target(
            name: "Reports", dependencies: ["Files", "Pictures"], resources: [.embedInCode("Assets")]),
        // Floor 4
        .target(
            name: "SparseAutoencoders",
            dependencies: ["Checkpoints", "Files", "KernelInterface", "Ops", "Optimizers", "Tensors"]),
        // Floor 5
        .target(
            name: "Visualization",
            dependencies: [
                "Files", "Ops", "Optimizers", "SparseAutoencoders", "StableDiffusion", "Tensors",
            ]),
        // Floor 6: what an experiment is
        .target(
            name: "Experiments",
            dependencies: [
                "Checkpoints", "Files", "Ops", "Parallel", "Pictures", "Reports", "SparseAutoencoders", "StableDiffusion", "Tensors",
                "Visualization", "WorkUnits",
            ],
            resources: [.copy("Resources")]),
        // Floor 7: its clients
        .target(
            name: "Studies",
            dependencies: [
                "Checkpoints", "Experiments", "Files", "Ops", "Pictures", "Reports", "SparseAutoencoders",
                "StableDiffusion", "Tensors", "Visualization", "WorkUnits", "Yams",
            ]),
        .target(
            name: "Diagnosis",
            dependencies: [
                "Benchmarking", "Experiments", "Files", "KernelInterface", "Ops", "Parallel", "Pictures", "ReferenceKernels",
                "Tensors", "Visualization",
            ],
            resources: [.copy("Resources")]),
        .target(
            name: "LVO",
            dependencies: [
                "Checkpoints", "Experiments", "Files", "Ops", "Optimizers", "Pictures", "SparseAutoencoders",
                "StableDiffusion", "Tensors", "Visualization",
            ]),
        .systemLibrary(name: "CLVO"),
        .target(
            name: "CInterface",
            dependencies: [
                "Checkpoints", "CLVO", "Experiments", "Files", "Ops", "Optimizers", "Parallel", "Pictures", "SparseAutoencoders",
                "StableDiffusion", "Tensors", "Visualization",
            ]),
        .executableTarget(
            name: "lvo",
            dependencies: [
                "Benchmarking", "Checkpoints", "Diagnosis", "Experiments", "Files", "Ops", "Optimizers", "Parallel", "Pictures",
                "SparseAutoencoders", "StableDiffusion", "Studies", "Tensors", "Visualization", "WorkUnits",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        .target(
            name: "TestSupport",
            dependencies: [
                "Checkpoints", "Experiments", "Files", "StableDiffusion", "Tensors", realModule, complexModule,
            ],
            path: "Tests/TestSupport"),
        .testTarget(name: "TestSupportTests", dependencies: ["TestSupport", realModule, complexModule]),
        .testTarget(
            name: "KernelsTests",
            dependencies: ["CInstructions", "KernelInterface", "Ops", "ReferenceKernels", "TestSupport", realModule]
                + modelDependencies),
        .testTarget(
            name: "OpsTests",
            dependencies: ["Files", "Ops", "ReferenceKernels", "Tensors", "TestSupport", realModule, complexModule]
                + modelDependencies),
        .testTarget(
            name: "CheckpointsTests",
            dependencies: ["Checkpoints", "Files", "StableDiffusion", "Tensors", "TestSupport"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "PicturesTests", dependencies: ["Files", "Pictures", "Tensors", "TestSupport"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "StableDiffusionTests",
            dependencies: ["Checkpoints", "Files", "Ops", "StableDiffusion", "Tensors", "TestSupport"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "SparseAutoencodersTests",
            dependencies: ["Checkpoints", "Files", "Ops", "SparseAutoencoders", "Tensors", "TestSupport"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "VisualizationTests",
            dependencies: [
                "Checkpoints", "Files", "Ops", "SparseAutoencoders", "StableDiffusion", "Tensors", "TestSupport", "Visualization",
            ],
            resources: [.copy("Fixtures")]),
        .testTarget(name: "ParallelTests", dependencies: ["Parallel", "TestSupport"]),
        .testTarget(name: "FilesTests", dependencies: ["Files", "TestSupport"]),
        .testTarget(name: "WorkUnitsTests", dependencies: ["Files", "TestSupport", "WorkUnits"]),
        .testTarget(
            name: "ExperimentsTests",
            dependencies: [
                "Checkpoints", "Experiments", "Files", "Ops", "Pictures", "SparseAutoencoders", "StableDiffusion",
                "Tensors", "TestSupport", "Visualization", "WorkUnits",
            ] + modelDependencies,
            resources: [.copy("Fixtures")]),
        .testTarget(name: "BenchmarkingTests", dependencies: ["Benchmarking", "Ops", "Parallel", "Tensors"]),
        .testTarget(
            name: "DiagnosisTests", dependencies: ["Diagnosis", "Files", "Ops", "Parallel", "TestSupport", "Tensors"]),
        .testTarget(
            name: "CInterfaceTests",
            dependencies: [
                "CInterface", "CLVO", "Experiments", "Files", "Ops", "Pictures", "SparseAutoencoders", "StableDiffusion",
                "Tensors", "TestSupport", "Visualization",
            ]),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors"]),
        .testTarget(name: "OptimizersTests", dependencies: ["Optimizers", "Tensors"]),
        .testTarget(name: "ReportsTests", dependencies: ["Files", "Reports", "TestSupport"]),
        .testTarget(
            name: "StudiesTests",
            dependencies: [
                "Checkpoints", "Experiments", "Files", "Ops", "Pictures", "SparseAutoencoders", "StableDiffusion", "Studies",
                "Tensors", "TestSupport", "Visualization", "WorkUnits",
            ],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "lvoTests",
            dependencies: [
                "Checkpoints", "Experiments", "Files", "Pictures", "StableDiffusion", "Tensors", "TestSupport",
            ]),
    ],
    swiftLanguageModes: [.v6]
)

// swift package generate-documentation; who builds or uses lvo has no need of it (docs/library.md).
if Context.environment["LVO_DOCUMENTATION"] != nil {
    package.dependencies.append(
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", .upToNextMinor(from: "1.5.0")))
}
