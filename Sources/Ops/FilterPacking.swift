import Files
import KernelInterface
import Parallel
import Tensors

/// Where the weights of a packed filter lie: panels of `panelWidth` outputs, `[tap][row][panelWidth]`.
package struct FilterLayout: Sendable {
    let outputs: Int
    let inputs: Int
    let taps: Int
    let precision: Precision
    let panelWidth: Int
    /// Rows of a panel per tap: inputs, or pairs of them.
    let panelRows: Int
    /// Float32 weights in half precision.
    let isHalf: Bool

    /// - Parameter isHalf: whether the file has half precision, which float32 keeps.
    init(shape: [Int], isHalf: Bool, engine: Engine) {
        outputs = shape[0]
        inputs = shape[1]
        taps = shape.dropFirst(2).reduce(1, *)
        precision = engine.precision
        panelWidth = engine.kernels.gemm.panelWidth
        panelRows = engine.operands.words(inputs)
        self.isHalf = isHalf && precision == .float32
    }

    var panelCount: Int { (outputs + panelWidth - 1) / panelWidth }
    /// Bytes of a row of a panel.
    var rowBytes: Int { panelWidth * (isHalf ? 2 : 4) }
    var byteCount: Int { panelCount * panelRows * taps * rowBytes }

    /// Element index of `[panel][tap][row][0]`.
    func index(_ panel: Int, _ tap: Int, _ row: Int) -> Int { ((panel * taps + tap) * panelRows + row) * panelWidth }
}

extension PackedFilter {
    /// What the bytes of packed filters depend on beside the weights. Rounding to bfloat16 differs between instruction sets
    /// for numbers too small to be normal.
    package static func packing(for engine: Engine) -> JSON {
        [
            "version": 1, "instruction_set": .string(engine.kernels.instructionSet),
            "precision": .string(engine.precision.rawValue), "panel_width": .integer(engine.kernels.gemm.panelWidth),
            "depth_block": .integer(engine.operands.depthBlock),
        ]
    }
}

/// Brings weights into panels.
struct FilterPacking {
    private let layout: FilterLayout
    private let kernels: KernelTable

    init(_ layout: FilterLayout, _ kernels: KernelTable) { (self.layout, self.kernels) = (layout, kernels) }

    private var outputs: Int { layout.outputs }
    private var inputs: Int { layout.inputs }
    private var taps: Int { layout.taps }
    private var panelWidth: Int { layout.panelWidth }

    /// The panels in memory of their own. Each is written by the thread that has its share of as many tasks, so that its
    /// pages lie in that thread's memory domain.
    func pack(_ weight: Weight, _ threads: Threads) -> UnsafeMutableRawPointer {
        let memory = allocateAligned(byteCount: layout.byteCount)
        let source = weight.dtype == .f16 || weight.dtype == .f32 ? weight : weight.widened()
        nonisolated(unsafe) let target = memory
        threads.forEach(layout.panelCount) { panel, _ in pack(panel, source, target) }
        return memory
    }

    private func pack(_ panel: Int, _ source: Weight, _ memory: UnsafeMutableRawPointer) {
        let target = memory + layout.index(panel, 0, 0) / panelWidth * layout.rowBytes
        switch (layout.precision, source.dtype) {
        case (.bfloat16, .f16):
            withGathered(panel, source, as: UInt16.self) { halves in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs * panelWidth) { wide in
                    for tap in 0..<taps {
                        let count = inputs * panelWidth
                        kernels.gemm.widen(halves + tap * count, count, wide.baseAddress!)
                        packPairs(wide.baseAddress!, tap, target)
                    }
                }
            }
        case (.bfloat16, _):
            withGathered(panel, source, as: Float.self) { numbers in
                for tap in 0..<taps { packPairs(numbers + tap * inputs * panelWidth, tap, target) }
            }
        case (.float32, .f16): gather(panel, source, target.assumingMemoryBound(to: UInt16.self))
        case (.float32, _): gather(panel, source, target.assumingMemoryBound(to: Float.self))
        }
    }

    private func packPairs(_ numbers: UnsafePointer<Float>, _ tap: Int, _ target: UnsafeMutableRawPointer) {
        kernels.bfloat16.packPanel(
            numbers, inputs, target.assumingMemoryBound(to: UInt32.self) + tap * layout.panelRows * panelWidth)
    }

    private func withGathered<Number: BitwiseCopyable & ExpressibleByIntegerLiteral>(
        _ panel: Int, _ source: Weight, as _: Number.Type, _ body: (UnsafePointer<Number>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Number.self, capacity: taps * inputs * panelWidth) {
            gather(panel, source, $0.baseAddress!)
            body(UnsafePointer($0.baseAddress!))
        }
    }

    /// A panel `[tap][i][panelWidth]` of the weights as they lie in their file.
    private func gather<Number: BitwiseCopyable & ExpressibleByIntegerLiteral>(
        _ panel: Int, _ source: Weight, _ target: UnsafeMutablePointer<Number>
    ) {
        let (rowLength, size) = (inputs * taps, MemoryLayout<Number>.size)
        let valid = min(panelWidth, outputs - panel * panelWidth)
        let first = source.bytes.baseAddress! + panel * panelWidth * rowLength * size
        for tap in 0..<taps {
            for input in 0..<inputs {
                let column = target + (tap * inputs + input) * panelWidth
                let element = first + (input * taps + tap) * size
                for output in 0..<valid {
                    column[output] = (element + output * rowLength * size).loadUnaligned(as: Number.self)
                }
                for output in valid..<panelWidth { column[output] = 0 }
            }
        }
    }
}

extension Weight {
    /// The same weight in float32, in memory of its own.
    func widened() -> Weight {
        let tensor = Tensor(shape)
        copyFloats(into: tensor.pointer)
        return Weight(name: name, tensor: tensor)
    }
}
