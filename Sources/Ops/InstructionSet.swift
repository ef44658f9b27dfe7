import CInstructions
import Files
import KernelInterface
import Kernels
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
#if arch(x86_64)
import KernelsAMX
import KernelsAVX2
import KernelsAVX512
import KernelsAVX512BF16
import _Builtin_intrinsics.intel.cpuid
#elseif arch(arm64)
import KernelsNEONBF16
#endif

/// Which builds of the kernels this CPU can run, best first, and the choice among them.
public enum InstructionSet {
    /// Names of the sets that the CPU and the operating system support; the last is always the baseline.
    public static var supported: [String] {
        #if arch(x86_64)
        var names = ["baseline"]
        let cpu = X86Features.here
        if cpu.avx2 { names.insert("avx2", at: 0) }
        if cpu.avx512 { names.insert("avx512", at: 0) }
        if cpu.avx512bf16 { names.insert("avx512bf16", at: 0) }
        if cpu.amx { names.insert("amx", at: 0) }
        return names
        #elseif arch(arm64)
        return ArmFeatures.hasBFloat16 ? ["neonbf16", "neon"] : ["neon"]
        #else
        return ["baseline"]
        #endif
    }

    /// The kernels that every CPU of this architecture runs.
    static var baseline: KernelTable { Kernels.makeKernelTable() }

    /// Whether this CPU multiplies bfloat16 faster than float32.
    public static var hasBFloat16: Bool { supported.contains { $0 == "amx" || $0.hasSuffix("bf16") } }

    /// The precision in which a set computes products fastest; nil: the best set of this CPU.
    /// - Throws: as `kernels(named:)`.
    public static func fastestPrecision(of name: String? = nil) throws -> Precision {
        try kernels(named: name).bfloat16.isNative ? .bfloat16 : .float32
    }

    /// `BFloat16Kernels.speedup` of a set: what `Convolution.rule` goes by.
    /// - Throws: as `kernels(named:)`.
    package static func bfloat16Speedup(of name: String? = nil) throws -> Int {
        try kernels(named: name).bfloat16.speedup
    }

    /// Why this CPU is not asked to compute in bfloat16.
    static var noBFloat16: SimpleFailure {
        SimpleFailure(
            .usage,
            "bf16: this CPU has no fast bfloat16 instructions (AVX512_BF16 of AMD Zen 4 and later and of Intel Cooper Lake,"
                + " AMX of Intel Sapphire Rapids and later, BFMMLA of Arm Neoverse V1, N2 and later); use f32")
    }

    /// The kernels of the best supported set, or of the one asked for.
    /// - Throws: `SimpleFailure(.usage)` when that one does not exist or this CPU lacks it, naming what there is.
    public static func kernels(named name: String? = nil) throws -> KernelTable {
        let supported = supported
        let choice = name ?? supported[0]
        guard supported.contains(choice) else {
            throw SimpleFailure(
                .usage,
                "instruction set '\(choice)' is not available: this CPU offers \(supported.joined(separator: ", "));"
                    + " set LVO_ISA to one of these or unset it")
        }
        #if arch(x86_64)
        switch choice {
        case "amx": return KernelsAMX.makeKernelTable()
        case "avx512bf16": return KernelsAVX512BF16.makeKernelTable()
        case "avx512": return KernelsAVX512.makeKernelTable()
        case "avx2": return KernelsAVX2.makeKernelTable()
        default: return Kernels.makeKernelTable()
        }
        #elseif arch(arm64)
        return choice == "neonbf16" ? KernelsNEONBF16.makeKernelTable() : Kernels.makeKernelTable()
        #else
        return Kernels.makeKernelTable()
        #endif
    }
}

#if arch(x86_64)
/// Feature bits of CPUID, together with the operating system's leave to use the wide registers.
struct X86Features {
    var avx2 = false
    var avx512 = false
    var avx512bf16 = false
    var amx = false

    /// Those of this CPU; found once, since the leave to use tiles has to be asked for.
    static let here = detect()

    private static func detect() -> X86Features {
        func cpuid(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> (a: UInt32, b: UInt32, c: UInt32, d: UInt32) {
            var (a, b, c, d): (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
            guard __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d) != 0 else { return (0, 0, 0, 0) }
            return (a, b, c, d)
        }
        func has(_ word: UInt32, _ bits: Int...) -> Bool { bits.allSatisfy { word >> UInt32($0) & 1 == 1 } }
        let (one, seven) = (cpuid(1), cpuid(7))
        var features = X86Features()
        // Leaf 1 ECX: FMA 12, MOVBE 22, OSXSAVE 27, AVX 28, F16C 29. Leaf 7 EBX: BMI1 3, AVX2 5, BMI2 8.
        features.avx2 =
            has(one.c, 12, 22, 27, 28, 29) && has(seven.b, 3, 5, 8) && systemAllows("avx2")
        // Leaf 7 EBX: AVX-512 F 16, DQ 17, CD 28, BW 30, VL 31 (with ADX 19: what -march=skylake-avx512 may emit).
        features.avx512 = features.avx2 && has(seven.b, 16, 17, 19, 28, 30, 31) && systemAllows("avx512f")
        // Leaf 7, subleaf 1, EAX: AVX512_BF16 5; leaf 7 ECX: AVX512_VNNI 11, which every such CPU has had.
        let hasBFloat16 =
            features.avx512 && has(cpuid(7, 1).a, 5) && has(seven.c, 11) && systemAllows("avx512_bf16")
            && systemAllows("avx512_vnni")
        features.avx512bf16 = hasBFloat16 && multipliesBFloat16Fast(vendor: cpuid(0).b, signature: one.a)
        // Leaf 7 EDX: AMX-BF16 22, AMX-TILE 24. The build's conversions are those of AVX512_BF16.
        features.amx = hasBFloat16 && has(seven.d, 22, 24) && systemAllows("amx_bf16") && mayUseTiles()
        return features
    }

    /// Whether the operating system saves tiles (bits 17 and 18 of XCR0) and gives this process room for them: Linux only
    /// does so when asked, once, before threads use them.
    private static func mayUseTiles() -> Bool {
        #if os(Linux)
        enabled_cpu_state() >> 17 & 3 == 3 && request_tile_permission() == 0
        #else
        false
        #endif
    }

    /// Intel's cores after Cooper Lake carry VDPBF16PS out in microcode, at half the speed of float32 (docs/performance.md);
    /// there `avx512` is the better set. Vendor: EBX of leaf 0, `Genu` for Intel; signature: EAX of leaf 1.
    static func multipliesBFloat16Fast(vendor: UInt32, signature: UInt32) -> Bool {
        let isIntel = vendor == 0x756E_6547
        let model = signature >> 12 & 0xF0 | signature >> 4 & 0xF
        let family = signature >> 8 & 0xF
        return !isIntel || (family == 6 && model == 0x55)
    }

    /// CPUID tells what the CPU can do (also an emulated one); /proc/cpuinfo what the kernel enabled.
    static func systemAllows(_ flag: String) -> Bool {
        guard let file = fopen("/proc/cpuinfo", "r") else { return true }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 16384)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix("flags") { return text.split(whereSeparator: \.isWhitespace).contains { $0 == flag } }
        }
        return true
    }
}
#endif
