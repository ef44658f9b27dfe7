/// The entry points of one build of the kernels.
///
/// `Sources/Kernels` is compiled once per instruction set; each build fills one table, and the program picks a table
/// at start from what the CPU reports. A kernel sees raw pointers, sizes and a sub-range, nothing else: no tensors, no
/// allocation, no threads, no errors. Its contract stands at the member that holds it; its slow twin, generic over the
/// number type, is in `ReferenceKernels`, from which every entry is tested (`prefetch` computes nothing and has none).
public struct KernelTable: Sendable {
    /// `baseline`, `avx2`, `avx512`, `avx512bf16`, `amx`, `neon` or `neonbf16`: also the values of `LVO_ISA`.
    public let instructionSet: String
    /// Floats per vector register.
    public let lanes: Int
    public let gemm: GemmKernels
    public let bfloat16: BFloat16Kernels
    /// F(2×2, 3×3) and F(4×4, 3×3).
    public let winograd2: WinogradKernels
    public let winograd4: WinogradKernels
    /// F(4×4, 3×3) where products' operands are rounded.
    public let integerWinograd: IntegerWinogradKernels
    public let elementwise: ElementwiseKernels
    public let norm: NormKernels
    public let attention: AttentionKernels
    /// The same with the operands of products rounded to bfloat16: queries, keys, values, probabilities, gradients.
    public let attentionBFloat16: AttentionKernels
    public let sparse: SparseKernels

    public init(
        instructionSet: String, lanes: Int, gemm: GemmKernels, bfloat16: BFloat16Kernels,
        winograd2: WinogradKernels, winograd4: WinogradKernels, integerWinograd: IntegerWinogradKernels,
        elementwise: ElementwiseKernels, norm: NormKernels, attention: AttentionKernels,
        attentionBFloat16: AttentionKernels, sparse: SparseKernels
    ) {
        self.instructionSet = instructionSet
        self.lanes = lanes
        self.gemm = gemm
        self.bfloat16 = bfloat16
        self.winograd2 = winograd2
        self.winograd4 = winograd4
        self.integerWinograd = integerWinograd
        self.elementwise = elementwise
        self.norm = norm
        self.attention = attention
        self.attentionBFloat16 = attentionBFloat16
        self.sparse = sparse
    }
}
