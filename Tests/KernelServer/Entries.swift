import KernelInterface

extension Arguments {
    /// Calls the kernel of an entry with these arguments.
    /// - Returns: what it returns, if anything; of a number its bits.
    mutating func call(_ entry: KernelEntry, of table: KernelTable) -> Int64? {
        switch entry {
        case .constants: call { write(constantsOf: table, to: $0, name: $1) }
        case .gemmMultiply: call(table.gemm.multiply)
        case .gemmPackRows: call(table.gemm.packRows)
        case .gemmPrefetch: call(table.gemm.prefetch)
        case .gemmWiden: call(table.gemm.widen)
        case .gemmTransposePanel: call(table.gemm.transposePanel)
        case .gemmTransposePanelHalf: call(table.gemm.transposePanelHalf)
        case .gemmWriteRows: call(table.gemm.writeRows)
        case .gemmWriteGated: call(table.gemm.writeGated)
        case .bfloat16Multiply: call(table.bfloat16.multiply)
        case .bfloat16PackRows: call(table.bfloat16.packRows)
        case .bfloat16PackPanel: call(table.bfloat16.packPanel)
        case .bfloat16TransposePanel: call(table.bfloat16.transposePanel)
        case .bfloat16ErrorSquares: return Int64(call(table.bfloat16.errorSquares).bitPattern)
        case .winograd2Filter: call(table.winograd2.filter)
        case .winograd2FilterHalf: call(table.winograd2.filterHalf)
        case .winograd2Input: call(table.winograd2.input)
        case .winograd2Output: call(table.winograd2.output)
        case .winograd4Filter: call(table.winograd4.filter)
        case .winograd4FilterHalf: call(table.winograd4.filterHalf)
        case .winograd4Input: call(table.winograd4.input)
        case .winograd4Output: call(table.winograd4.output)
        case .integerWinogradFilter: call(table.integerWinograd.filter)
        case .integerWinogradInput: call(table.integerWinograd.input)
        case .integerWinogradMultiply: call(table.integerWinograd.multiply)
        case .integerWinogradOutput: call(table.integerWinograd.output)
        case .add: call(table.elementwise.add)
        case .scale: call(table.elementwise.scale)
        case .silu: call(table.elementwise.silu)
        case .siluBackward: call(table.elementwise.siluBackward)
        case .geluErf: call(table.elementwise.geluErf)
        case .geluErfBackward: call(table.elementwise.geluErfBackward)
        case .geluQuick: call(table.elementwise.geluQuick)
        case .geluQuickBackward: call(table.elementwise.geluQuickBackward)
        case .geglu: call(table.elementwise.geglu)
        case .gegluBackward: call(table.elementwise.gegluBackward)
        case .groupStatistics: call(table.norm.groupStatistics)
        case .groupNormalize: call(table.norm.groupNormalize)
        case .groupNormalizeSilu: call(table.norm.groupNormalizeSilu)
        case .groupGradientSums: call(table.norm.groupGradientSums)
        case .groupGradientSumsSilu: call(table.norm.groupGradientSumsSilu)
        case .groupBackward: call(table.norm.groupBackward)
        case .groupBackwardSilu: call(table.norm.groupBackwardSilu)
        case .layer: call(table.norm.layer)
        case .layerBackward: call(table.norm.layerBackward)
        case .attentionPackedCount: return Int64(call(table.attention.packedCount))
        case .attentionScratchCount: return Int64(call(table.attention.scratchCount))
        case .attentionBackwardScratchCount: return Int64(call(table.attention.backwardScratchCount))
        case .attentionPackTokens: call(table.attention.packTokens)
        case .attentionPackChannels: call(table.attention.packChannels)
        case .attentionForward: call(table.attention.forward)
        case .attentionBackwardQuery: call(table.attention.backwardQuery)
        case .attentionBackward: call(table.attention.backward)
        case .attentionRowDots: call(table.attention.rowDots)
        case .attentionBFloat16PackedCount: return Int64(call(table.attentionBFloat16.packedCount))
        case .attentionBFloat16ScratchCount: return Int64(call(table.attentionBFloat16.scratchCount))
        case .attentionBFloat16BackwardScratchCount: return Int64(call(table.attentionBFloat16.backwardScratchCount))
        case .attentionBFloat16PackTokens: call(table.attentionBFloat16.packTokens)
        case .attentionBFloat16PackChannels: call(table.attentionBFloat16.packChannels)
        case .attentionBFloat16Forward: call(table.attentionBFloat16.forward)
        case .attentionBFloat16BackwardQuery: call(table.attentionBFloat16.backwardQuery)
        case .attentionBFloat16Backward: call(table.attentionBFloat16.backward)
        case .attentionBFloat16RowDots: call(table.attentionBFloat16.rowDots)
        case .sparsePackPanel: call(table.sparse.packPanel)
        case .sparseSelect: return Int64(call(table.sparse.select))
        case .sparseSelectAbove: return Int64(call(table.sparse.selectAbove))
        case .sparseCountPositive: return Int64(call(table.sparse.countPositive))
        case .sparseSumRows: call(table.sparse.sumRows)
        case .sparseDotRows: call(table.sparse.dotRows)
        case .sparseDot: return Int64(call(table.sparse.dot).bitPattern)
        case .sparseCombine: return Int64(call(table.sparse.combine).bitPattern)
        case .sparseAdam: call(table.sparse.adam)
        }
        return nil
    }
}

/// The table's numbers at their `KernelConstant`, and its name, ended by a zero.
private func write(
    constantsOf table: KernelTable, to numbers: UnsafeMutablePointer<Int>, name: UnsafeMutablePointer<UInt8>
) {
    func set(_ constant: KernelConstant, _ value: Int) { numbers[constant.rawValue] = value }
    set(.lanes, table.lanes)
    set(.tileRows, table.gemm.tileRows)
    set(.panelWidth, table.gemm.panelWidth)
    set(.bfloat16TileRows, table.bfloat16.tileRows)
    set(.bfloat16DepthBlock, table.bfloat16.depthBlock)
    set(.bfloat16IsNative, table.bfloat16.isNative ? 1 : 0)
    set(.bfloat16Speedup, table.bfloat16.speedup)
    set(.attentionQueryBlock, table.attention.queryBlock)
    set(.attentionBFloat16QueryBlock, table.attentionBFloat16.queryBlock)
    var length = 0
    for byte in table.instructionSet.utf8 {
        name[length] = byte
        length += 1
    }
    name[length] = 0
}
