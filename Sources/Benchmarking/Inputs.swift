import Ops
import Tensors

extension Tensor {
    /// Reproducible values in −scale…scale; the same for the same seed.
    public static func filled(_ shape: [Int], scale: Float = 1, seed: UInt64 = 42) -> Tensor {
        let tensor = Tensor(shape)
        var state = seed
        for index in 0..<tensor.count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            tensor.pointer[index] = Float(Int64(bitPattern: state) >> 40) / 8_388_608 * scale
        }
        return tensor
    }
}

extension Weight {
    /// A reproducible weight in half precision, as most files have them.
    public static func filled(_ shape: [Int]) -> Weight {
        let values = Tensor.filled(shape, scale: 0.05)
        let storage = Tensor([(values.count + 1) / 2])
        let halves = UnsafeMutableRawPointer(storage.pointer).bindMemory(to: UInt16.self, capacity: values.count)
        for index in 0..<values.count { halves[index] = Float16(values.pointer[index]).bitPattern }
        return Weight(
            name: "synthetic", shape: shape, dtype: .f16,
            bytes: UnsafeRawBufferPointer(start: halves, count: values.count * 2), owner: storage.storage)
    }
}

extension Engine {
    /// GFLOP/s of the register tile in this engine's precision, on operands in the first-level cache, times the threads: the
    /// denominator of every share of the peak.
    public func measureTilePeak() -> Double {
        let gemm = kernels.gemm
        let tileRows = precision == .bfloat16 ? kernels.bfloat16.tileRows : gemm.tileRows
        let (words, rows, calls) = (256, tileRows * 8, 200)
        let a = Tensor.filled([rows, words]), panel = Tensor.filled([words, gemm.panelWidth])
        let c = Tensor.zeros([rows, gemm.panelWidth])
        let pairs = Scratch<UInt32>(a.count, repeating: 0x3F80_3F80, self)
        let pairPanel = Scratch<UInt32>(panel.count, repeating: 0x3F80_3F80, self)
        func multiply() {
            switch precision {
            case .float32:
                gemm.multiply(
                    a.pointer, rows, words, panel.pointer, gemm.panelWidth, c.pointer, gemm.panelWidth, false)
            case .bfloat16:
                kernels.bfloat16.multiply(
                    pairs.pointer, rows, words, pairPanel.pointer, gemm.panelWidth, c.pointer, gemm.panelWidth, false)
            }
        }
        kernels.bfloat16.beginProducts()
        defer { kernels.bfloat16.endProducts() }
        let best = (0..<20).map { _ in Timing.time { for _ in 0..<calls { multiply() } } }.min() ?? 1
        let terms = precision == .bfloat16 ? 2 * words : words
        return Double(2 * rows * terms * gemm.panelWidth * calls) / best / 1e9 * Double(threads.count)
    }
}
