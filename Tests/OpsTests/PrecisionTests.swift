import Files
#if arch(x86_64)
import KernelsAMXModel
#endif
import Ops
import ReferenceKernels
import TestSupport
import Tensors
import Testing

/// Layers in bfloat16, on every instruction set, and on a model of the one with tiles.
///
/// Operands that are bfloat16 numbers already are not rounded, and their products are exact in float32: such layers must
/// agree with the twin in double precision as closely as float32 ones do.
@Suite struct PrecisionTests {
    private static let tolerance = 2e-6

    private func numbers(_ count: Int, _ seed: UInt64) -> [Float] {
        randomFloats(count, seed: seed).map { Reference.bfloat16($0) }
    }

    /// A weight of bfloat16 numbers that half precision holds too.
    private func weight(_ shape: [Int], half: Bool) -> (weight: Weight, values: [Double]) {
        let halves = numbers(shape.reduce(1, *), 5).map { Float16($0) }
        let values = halves.map { Reference.bfloat16(Float($0)) }
        guard half else { return (Weight(name: "w", tensor: Tensor(shape, values)), values.doubles) }
        let storage = Tensor([(halves.count + 1) / 2])
        UnsafeMutableRawPointer(storage.pointer).copyMemory(from: values.map { Float16($0) }, byteCount: halves.count * 2)
        let bytes = UnsafeRawBufferPointer(start: storage.pointer, count: halves.count * 2)
        return (Weight(name: "w", shape: shape, dtype: .f16, bytes: bytes, owner: storage.storage), values.doubles)
    }

    private func eachEngine(_ body: (Engine) throws -> Void) throws {
        for name in InstructionSet.supported {
            try body(Engine(instructionSet: name, threads: 2, precision: .bfloat16))
        }
        #if arch(x86_64)
        try body(Engine(kernels: KernelsAMXModel.makeKernelTable(), threads: 2, precision: .bfloat16))
        #endif
    }

    @Test(arguments: [(7, 19, 21), (1, 1, 1), (30, 64, 96), (300, 330, 40), (13, 1300, 33)], [false, true])
    func linearLayersAgreeWithTheTwin(_ size: (rows: Int, inputs: Int, outputs: Int), _ half: Bool) throws {
        let (packed, values) = weight([size.outputs, size.inputs], half: half)
        let x = numbers(size.rows * size.inputs, 1), dy = numbers(size.rows * size.outputs, 2)
        let y = Reference.linear(x.doubles, weight: values, bias: nil, inputs: size.inputs)
        let transposed = (0..<size.inputs).flatMap { i in (0..<size.outputs).map { values[$0 * size.inputs + i] } }
        let dx = Reference.linear(dy.doubles, weight: transposed, bias: nil, inputs: size.outputs)
        try eachEngine { engine in
            let layer = Linear(weight: packed, engine: engine)
            let name = "\(engine.kernels.instructionSet), \(size), half \(half)"
            #expect(layer.filter.precision == .bfloat16)
            expectClose(layer.forward(Tensor([size.rows, size.inputs], x)).array, y, tolerance: Self.tolerance, name)
            expectClose(
                layer.backwardInput(Tensor([size.rows, size.outputs], dy)).array, dx, tolerance: Self.tolerance, name)
        }
    }

    @Test(arguments: [(3, 1, 6, 5), (3, 2, 10, 7), (1, 1, 33, 18), (3, 1, 80, 48), (3, 2, 48, 80)])
    func directConvolutionsAgreeWithTheTwin(
        _ c: (size: Int, stride: Int, inputs: Int, outputs: Int)
    ) throws {
        let twin = ReferenceConvolution(
            batch: 2, height: 5, width: 8, inputs: c.inputs, outputs: c.outputs, size: c.size, stride: c.stride,
            before: c.size / 2, after: c.size / 2)
        let (packed, values) = weight([c.outputs, c.inputs, c.size, c.size], half: true)
        let x = numbers(2 * 5 * 8 * c.inputs, 1), dy = numbers(2 * twin.outHeight * twin.outWidth * c.outputs, 2)
        let y = Reference.convolution(x.doubles, weight: values, bias: nil, twin)
        let dx = Reference.convolutionBackward(dy.doubles, weight: values, twin)
        try eachEngine { engine in
            let layer = Convolution(weight: packed, bias: nil, stride: c.stride, engine: engine)
            let input = Tensor([2, 5, 8, c.inputs], x)
            let gradient = Tensor([2, twin.outHeight, twin.outWidth, c.outputs], dy)
            let name = "\(engine.kernels.instructionSet), \(c)"
            expectClose(layer.forward(input, algorithm: .direct).array, y, tolerance: Self.tolerance, name)
            expectClose(
                layer.backwardInput(gradient, inputShape: input.shape, algorithm: .direct).array, dx,
                tolerance: Self.tolerance, name)
        }
    }

    /// F(4×4)'s integers round what bfloat16 would hold: by less than bfloat16 rounds one operand (1.65e-3).
    @Test func winogradsConvolutionsAgreeWithTheTwin() throws {
        let (inputs, outputs) = (160, 64)
        let twin = ReferenceConvolution(
            batch: 1, height: 9, width: 12, inputs: inputs, outputs: outputs, size: 3, stride: 1, before: 1, after: 1)
        let (packed, values) = weight([outputs, inputs, 3, 3], half: true)
        let x = numbers(9 * 12 * inputs, 1), dy = numbers(9 * 12 * outputs, 2)
        let y = Reference.convolution(x.doubles, weight: values, bias: nil, twin)
        let dx = Reference.convolutionBackward(dy.doubles, weight: values, twin)
        try eachEngine { engine in
            let layer = Convolution(weight: packed, bias: nil, engine: engine)
            let (input, gradient) = (Tensor([1, 9, 12, inputs], x), Tensor([1, 9, 12, outputs], dy))
            let name = engine.kernels.instructionSet
            #expect(layer.algorithms == [.direct, .winograd4], "\(name)")
            expectClose(layer.forward(input, algorithm: .winograd4).array, y, tolerance: 1.6e-3, name)
            expectClose(
                layer.backwardInput(gradient, inputShape: input.shape, algorithm: .winograd4).array, dx,
                tolerance: 1.6e-3, name)
        }
    }

    @Test func winogradsConvolutionsDoNotDependOnTheThreads() throws {
        let (packed, _) = weight([64, 160, 3, 3], half: true)
        let x = Tensor([2, 13, 9, 160], randomFloats(2 * 13 * 9 * 160, seed: 1))
        let results = try [1, 2, 7].map { threads in
            let engine = try Engine(instructionSet: "baseline", threads: threads, precision: .bfloat16)
            return Convolution(weight: packed, bias: nil, engine: engine).forward(x, algorithm: .winograd4).array
        }
        expectIdentical(results[1], results[0])
        expectIdentical(results[2], results[0])
    }

    @Test func anEngineInFloat32SharesEverythingButThePrecision() throws {
        let engine = try Engine(instructionSet: InstructionSet.supported[0], precision: .bfloat16)
        #expect(engine.inFloat32.precision == .float32 && engine.inFloat32.workspace === engine.workspace)
        let layer = Linear(weight: weight([3, 5], half: false).weight, engine: engine.inFloat32)
        #expect(layer.filter.precision == .float32)
    }

    @Test(.enabled(if: !InstructionSet.supported.contains("amx")))
    func tilesAreRefusedWhereTheCPULacksThem() throws {
        let failure = #expect(throws: SimpleFailure.self) { try Engine(instructionSet: "amx") }
        #expect(failure?.description.contains("'amx' is not available") == true)
    }

    @Test func bfloat16IsRefusedWhereTheCPULacksItUnlessTheInstructionSetIsNamed() throws {
        #expect(try Engine(instructionSet: "baseline", precision: .bfloat16).precision == .bfloat16)
        if InstructionSet.hasBFloat16 {
            #expect(try Engine(precision: .bfloat16).kernels.bfloat16.isNative)
        } else {
            #expect(throws: SimpleFailure.self) { try Engine(precision: .bfloat16) }
        }
    }
}
