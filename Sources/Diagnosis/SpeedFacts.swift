import Benchmarking
import Ops
import Tensors

/// How fast one instruction set multiplies in one precision: the register tile on operands in the first-level cache.
package struct TileSpeed: Sendable {
    let instructionSet: String
    let precision: Precision
    /// GFLOP/s of one thread.
    let gflops: Double

    /// - Throws: as `Engine.init`.
    init(instructionSet: String, precision: Precision) throws {
        (self.instructionSet, self.precision) = (instructionSet, precision)
        gflops = try Engine(instructionSet: instructionSet, threads: 1, precision: precision).measureTilePeak()
    }
}

/// What all threads get done together.
package struct ThreadSpeed: Sendable {
    let threads: Int
    /// Work of all threads in the time that one needs for one's own: the count of threads where each has a core to itself.
    let speedup: Double
    /// 10⁹ bytes a second read and written by all threads in sums of two arrays beyond every cache.
    let gigabytesPerSecond: Double

    package init(_ engine: Engine) {
        threads = engine.threads.count
        speedup = Self.speedup(engine)
        gigabytesPerSecond = MemoryBandwidth.bytesPerSecond(engine) / 1e9
    }

    private static func speedup(_ engine: Engine) -> Double {
        let gemm = engine.kernels.gemm
        let (depth, count) = (256, engine.threads.count)
        let a = Tensor.filled([gemm.tileRows, depth]), panel = Tensor.filled([depth, gemm.panelWidth])
        let sums = Tensor.zeros([count, gemm.tileRows * gemm.panelWidth])
        func seconds(_ tasks: Int) -> Double {
            let times = (0..<5).map { _ in
                Timing.time {
                    engine.threads.forEach(tasks) { task, _ in
                        for _ in 0..<20_000 {
                            gemm.multiply(
                                a.pointer, gemm.tileRows, depth, panel.pointer, gemm.panelWidth,
                                sums.pointer + task * sums.channels, gemm.panelWidth, false)
                        }
                    }
                }
            }
            return times.min() ?? 1
        }
        return Double(count) * seconds(1) / seconds(count)
    }
}
