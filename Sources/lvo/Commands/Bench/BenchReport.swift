import ArgumentParser
import Benchmarking
import Files
import Foundation
import Ops
import Parallel
import StableDiffusion
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

/// A command that measures, prints what it finds and, if asked for, writes it.
protocol Benchmark: ParsableCommand {
    var options: BenchOptions { get }

    /// Measures and prints.
    func measure() throws -> BenchResult
}

extension Benchmark {
    func run() throws {
        let result = try measure()
        try result.report.write(result.timings, to: options.json)
    }
}

/// What a benchmark measured, and the engine and peak that it is told with.
struct BenchResult {
    let report: BenchReport
    let timings: [Timing]

    var json: [JSON] { timings.map(report.json) }
}

/// The results of one benchmark command: a table on standard output and, if asked for, a JSON file.
struct BenchReport {
    let engine: Engine
    /// GFLOP/s of the register tile alone, times the threads.
    let peak: Double

    init(engine: Engine) {
        self.engine = engine
        peak = engine.measureTilePeak()
    }

    var header: String {
        "kernels \(engine.kernels.instructionSet), \(engine.precision.rawValue), \(engine.threads.count) threads, "
            + "tile peak \(Int(peak)) GFLOP/s\n"
            + "   median s      min s   GFLOP/s  of peak     GB/s   what"
    }

    func line(_ m: Timing) -> String {
        let rate = m.flops > 0 ? String(format: "%9.1f %7.0f%%", m.gflops, 100 * m.gflops / peak) : "        –        –"
        let bandwidth = m.bytes > 0 ? String(format: "%8.1f", m.bytes / m.median / 1e9) : "       –"
        return String(format: "%11.6f %10.6f ", m.median, m.minimum) + rate + " " + bandwidth + "   " + m.name
    }

    /// Prints the table, what there is to say about loading, and the peak of memory so far.
    func show(_ timings: [Timing], loading: Duration? = nil) -> BenchResult {
        print(header)
        for timing in timings { print(line(timing)) }
        print((loading.map { "loading \($0), " } ?? "") + "peak memory \(formatBytes(Machine.peakMemory ?? 0))")
        return BenchResult(report: self, timings: timings)
    }

    /// One measurement's JSON object; `seconds_median` and `peak_rss_bytes` are what comparisons read.
    func json(_ m: Timing) -> JSON {
        [
            "name": .string(m.name), "seconds_median": .number(m.median), "seconds_min": .number(m.minimum),
            "gflops": .number(m.gflops), "percent_of_peak": .number(100 * m.gflops / peak),
            "gigabytes_per_second": .number(m.bytes / m.median / 1e9), "peak_rss_bytes": .integer(Machine.peakMemory ?? 0),
            "threads": .integer(engine.threads.count), "precision": .string(engine.precision.rawValue),
            "kernels": .string(engine.kernels.instructionSet),
            "peak_gflops": .number(peak),
        ]
    }

    /// Writes one measurement as an object, several as an array of objects.
    func write(_ measurements: [Timing], to path: String?) throws {
        guard let path else { return }
        let value = measurements.count == 1 ? json(measurements[0]) : .array(measurements.map(json))
        try OutputFile.write(value.serialized(pretty: true).utf8, to: path, overwrite: true)
    }
}
