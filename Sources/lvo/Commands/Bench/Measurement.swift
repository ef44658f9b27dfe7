import ArgumentParser
import Files
import Foundation
import Ops
import Tensors

/// Options of every benchmark.
struct BenchOptions: ParsableArguments {
    @Option(help: "Timed repeats after one warm-up.")
    var repeats = 5

    @Option(help: ArgumentHelp("Write the results as JSON too.", valueName: "file"))
    var json: String?

    @OptionGroup var runtime: RuntimeOptions

    func validate() throws {
        if repeats < 1 { throw ValidationError("--repeats \(repeats): expected at least 1") }
    }
}

/// Seconds that one thing took, over several repeats, and the work in it.
struct Measurement {
    let name: String
    let seconds: [Double]
    /// Floating-point operations of the plain algorithm; 0 where bytes count instead.
    var flops = 0.0
    /// Bytes read and written at least once.
    var bytes = 0.0

    init(_ name: String, repeats: Int, flops: Double = 0, bytes: Double = 0, _ body: () throws -> Void) rethrows {
        self.name = name
        self.flops = flops
        self.bytes = bytes
        try body()
        seconds = try (0..<repeats).map { _ in try Measurement.time(body) }
    }

    /// What was timed elsewhere.
    init(_ name: String, seconds: [Double], flops: Double = 0, bytes: Double = 0) {
        (self.name, self.seconds, self.flops, self.bytes) = (name, seconds, flops, bytes)
    }

    static func time(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        let parts = (ContinuousClock.now - start).components
        return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
    }

    var median: Double { seconds.sorted()[seconds.count / 2] }
    var minimum: Double { seconds.min() ?? 0 }
    var gflops: Double { flops / median / 1e9 }
}

/// The results of one benchmark command: a table on standard output and, if asked for, a JSON file.
struct BenchReport {
    let engine: Engine
    /// GFLOP/s of the register tile alone, times the threads.
    let peak: Double

    init(engine: Engine) {
        self.engine = engine
        peak = BenchReport.tilePeak(engine) * Double(engine.threads.count)
    }

    /// The register tile on operands in the first-level cache, one thread: the denominator of every share.
    static func tilePeak(_ engine: Engine) -> Double {
        let gemm = engine.kernels.gemm
        let (depth, rows, calls) = (256, gemm.tileRows * 8, 200)
        let a = Tensor.zeros([rows, depth]), panel = Tensor.zeros([depth, gemm.panelWidth])
        let c = Tensor.zeros([rows, gemm.panelWidth])
        let best = (0..<20).map { _ in
            Measurement.time {
                for _ in 0..<calls {
                    gemm.multiply(
                        a.pointer, rows, depth, panel.pointer, gemm.panelWidth, c.pointer, gemm.panelWidth, false)
                }
            }
        }.min() ?? 1
        return Double(2 * rows * depth * gemm.panelWidth * calls) / best / 1e9
    }

    var header: String {
        "kernels \(engine.kernels.instructionSet), \(engine.threads.count) threads, tile peak \(Int(peak)) GFLOP/s\n"
            + "   median s      min s   GFLOP/s  of peak     GB/s   what"
    }

    func line(_ m: Measurement) -> String {
        let rate = m.flops > 0 ? String(format: "%9.1f %7.0f%%", m.gflops, 100 * m.gflops / peak) : "        –        –"
        let bandwidth = m.bytes > 0 ? String(format: "%8.1f", m.bytes / m.median / 1e9) : "       –"
        return String(format: "%11.6f %10.6f ", m.median, m.minimum) + rate + " " + bandwidth + "   " + m.name
    }

    /// One measurement's JSON object; `seconds_median` and `peak_rss_bytes` are what comparisons read.
    func json(_ m: Measurement) -> JSON {
        [
            "name": .string(m.name), "seconds_median": .number(m.median), "seconds_min": .number(m.minimum),
            "gflops": .number(m.gflops), "percent_of_peak": .number(100 * m.gflops / peak),
            "gigabytes_per_second": .number(m.bytes / m.median / 1e9), "peak_rss_bytes": .integer(SystemMemory.peak ?? 0),
            "threads": .integer(engine.threads.count), "kernels": .string(engine.kernels.instructionSet),
            "peak_gflops": .number(peak),
        ]
    }

    /// Writes one measurement as an object, several as an array of objects.
    func write(_ measurements: [Measurement], to path: String?) throws {
        guard let path else { return }
        let value = measurements.count == 1 ? json(measurements[0]) : .array(measurements.map(json))
        try OutputFile.write(value.serialized(pretty: true).utf8, to: path, overwrite: true)
    }
}

/// Reproducible filling for benchmarks: values in −1…1.
func benchTensor(_ shape: [Int], scale: Float = 1) -> Tensor {
    let tensor = Tensor(shape)
    var state: UInt64 = 42
    for index in 0..<tensor.count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        tensor.pointer[index] = Float(Int64(bitPattern: state) >> 40) / 8_388_608 * scale
    }
    return tensor
}

/// A weight in half precision, as most files have them.
func benchWeight(_ shape: [Int]) -> Weight {
    let values = benchTensor(shape, scale: 0.05)
    let storage = Tensor([(values.count + 1) / 2])
    let halves = UnsafeMutableRawPointer(storage.pointer).bindMemory(to: UInt16.self, capacity: values.count)
    for index in 0..<values.count { halves[index] = Float16(values.pointer[index]).bitPattern }
    return Weight(
        name: "synthetic", shape: shape, dtype: .f16,
        bytes: UnsafeRawBufferPointer(start: halves, count: values.count * 2), owner: storage.storage)
}
