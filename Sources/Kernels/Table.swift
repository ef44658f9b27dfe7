import KernelInterface

/// The table of this build's entry points.
public func makeKernelTable() -> KernelTable {
    #if LVO_AMX_MODEL
    let instructionSet = "amx model"
    #elseif LVO_AMX
    let instructionSet = "amx"
    #elseif LVO_AVX512BF16
    let instructionSet = "avx512bf16"
    #elseif LVO_AVX512
    let instructionSet = "avx512"
    #elseif LVO_AVX2
    let instructionSet = "avx2"
    #elseif LVO_NEONBF16
    let instructionSet = "neonbf16"
    #elseif arch(arm64)
    let instructionSet = "neon"
    #else
    let instructionSet = "baseline"
    #endif
    return KernelTable(
        instructionSet: instructionSet,
        lanes: lanes,
        gemm: GemmKernels(
            tileRows: tileRows, panelWidth: panelWidth, multiply: gemmMultiply, packRows: gemmPackRows, prefetch: gemmPrefetch,
            widen: gemmWiden, transposePanel: gemmTransposePanel, transposePanelHalf: gemmTransposePanelHalf,
            writeRows: gemmWriteRows, writeGated: gemmWriteGated),
        bfloat16: makeBFloat16Kernels(),
        winograd2: makeWinograd2(),
        winograd4: makeWinograd4(),
        integerWinograd: makeIntegerWinograd(),
        elementwise: makeElementwiseKernels(), norm: makeNormKernels(), attention: makeAttentionKernels(Float.self),
        attentionBFloat16: makeAttentionKernels(UInt32.self),
        sparse: sparseKernels())
}
