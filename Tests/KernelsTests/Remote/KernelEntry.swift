/// The entries of a kernel table as numbers, the same in the tests and in the kernel server (`Tests/KernelServer`). A case
/// has a line of its own, from which tools/check-arm takes its name.
enum KernelEntry: Int {
    case constants
    case gemmMultiply
    case gemmPackRows
    case gemmPrefetch
    case gemmWiden
    case gemmTransposePanel
    case gemmTransposePanelHalf
    case gemmWriteRows
    case gemmWriteGated
    case bfloat16Multiply
    case bfloat16PackRows
    case bfloat16PackPanel
    case bfloat16TransposePanel
    case bfloat16ErrorSquares
    case winograd2Filter
    case winograd2FilterHalf
    case winograd2Input
    case winograd2Output
    case winograd4Filter
    case winograd4FilterHalf
    case winograd4Input
    case winograd4Output
    case integerWinogradFilter
    case integerWinogradInput
    case integerWinogradMultiply
    case integerWinogradOutput
    case add
    case scale
    case silu
    case siluBackward
    case geluErf
    case geluErfBackward
    case geluQuick
    case geluQuickBackward
    case geglu
    case gegluBackward
    case groupStatistics
    case groupNormalize
    case groupNormalizeSilu
    case groupGradientSums
    case groupGradientSumsSilu
    case groupBackward
    case groupBackwardSilu
    case layer
    case layerBackward
    case attentionPackedCount
    case attentionScratchCount
    case attentionBackwardScratchCount
    case attentionPackTokens
    case attentionPackChannels
    case attentionForward
    case attentionBackwardQuery
    case attentionBackward
    case attentionRowDots
    case attentionBFloat16PackedCount
    case attentionBFloat16ScratchCount
    case attentionBFloat16BackwardScratchCount
    case attentionBFloat16PackTokens
    case attentionBFloat16PackChannels
    case attentionBFloat16Forward
    case attentionBFloat16BackwardQuery
    case attentionBFloat16Backward
    case attentionBFloat16RowDots
    case sparsePackPanel
    case sparseSelect
    case sparseSelectAbove
    case sparseCountPositive
    case sparseSumRows
    case sparseDotRows
    case sparseDot
    case sparseCombine
    case sparseAdam
}

/// Places in the answer to `KernelEntry.constants`.
enum KernelConstant: Int {
    case lanes, tileRows, panelWidth, bfloat16TileRows, bfloat16DepthBlock, bfloat16IsNative, bfloat16Speedup
    case attentionQueryBlock, attentionBFloat16QueryBlock, count
}
