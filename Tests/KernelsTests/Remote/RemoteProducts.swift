import KernelInterface

// How much memory each kernel of products reads and writes, by its contract.

extension RemoteTable {
    var gemm: GemmKernels {
        let (tileRows, width) = (tileRows, width)
        return GemmKernels(
            tileRows: tileRows, panelWidth: width,
            multiply: { [server, tiled] a, rows, depth, panel, columns, c, stride, accumulate in
                server.call(
                    .gemmMultiply,
                    [
                        .input(a, tiled(rows) * depth), .int(rows), .int(depth), .input(panel, depth * width), .int(columns),
                        .output(c, (rows - 1) * stride + columns), .int(stride), .bool(accumulate),
                    ])
            },
            packRows: { [server, tiled] a, offsets, rows, depth, packed, tileStride in
                let end = (0..<rows).map { offsets[$0] + depth }.max() ?? 0
                server.call(
                    .gemmPackRows,
                    [
                        .input(a, end), .input(offsets, rows), .int(rows), .int(depth),
                        .output(packed, (tiled(rows) / tileRows - 1) * tileStride + tileRows * depth), .int(tileStride),
                    ])
            },
            prefetch: { [server] address, bytes in
                server.call(.gemmPrefetch, [.int(-1), .int(Int(bitPattern: address)), .int(bytes)])
            },
            widen: { [server] half, count, out in
                server.call(.gemmWiden, [.input(half, count), .int(count), .output(out, count)])
            },
            transposePanel: { [server] source, rows, out in
                server.call(
                    .gemmTransposePanel, [.input(source, rows * width), .int(rows), .output(out, width * width)])
            },
            transposePanelHalf: { [server] source, rows, out in
                server.call(
                    .gemmTransposePanelHalf, [.input(source, rows * width), .int(rows), .output(out, width * width)])
            },
            writeRows: { [server] sums, panelStride, rows, columns, bias, second, other, y, stride in
                server.call(
                    .gemmWriteRows,
                    [
                        .input(sums, (columns - 1) / width * panelStride + rows * width), .int(panelStride), .int(rows),
                        .int(columns), .input(bias, columns), .input(second, columns),
                        .input(other, (rows - 1) * stride + columns), .output(y, (rows - 1) * stride + columns), .int(stride),
                    ])
            },
            writeGated: { [server] sums, panelStride, rows, columns, bias, gateBias, y, stride, projected in
                let panels = 2 * columns / width
                server.call(
                    .gemmWriteGated,
                    [
                        .input(sums, (panels - 1) * panelStride + rows * width), .int(panelStride), .int(rows),
                        .int(columns), .input(bias, columns), .input(gateBias, columns),
                        .output(y, (rows - 1) * stride + columns), .int(stride),
                        .output(projected, (2 * rows - 1) * stride + columns),
                    ])
            })
    }

    var bfloat16: BFloat16Kernels {
        let (width, tileRows) = (width, self[.bfloat16TileRows])
        let block = self[.bfloat16DepthBlock]
        @Sendable func pairs(_ depth: Int) -> Int { (depth + 2 * block - 1) / (2 * block) * block }
        @Sendable func tiles(_ rows: Int) -> Int { (rows + tileRows - 1) / tileRows }
        return BFloat16Kernels(
            tileRows: tileRows, depthBlock: block, isNative: self[.bfloat16IsNative] != 0, speedup: self[.bfloat16Speedup],
            beginProducts: {}, endProducts: {},
            multiply: { [server] a, rows, pairs, panel, columns, c, stride, accumulate in
                server.call(
                    .bfloat16Multiply,
                    [
                        .input(a, tiles(rows) * tileRows * pairs), .int(rows), .int(pairs), .input(panel, pairs * width),
                        .int(columns), .output(c, (rows - 1) * stride + columns), .int(stride), .bool(accumulate),
                    ])
            },
            packRows: { [server] a, offsets, rows, depth, packed, tileStride in
                let end = (0..<rows).map { offsets[$0] + depth }.max() ?? 0
                server.call(
                    .bfloat16PackRows,
                    [
                        .input(a, end), .input(offsets, rows), .int(rows), .int(depth),
                        .output(packed, (tiles(rows) - 1) * tileStride + tileRows * pairs(depth)), .int(tileStride),
                    ])
            },
            packPanel: { [server] source, depth, out in
                server.call(
                    .bfloat16PackPanel, [.input(source, depth * width), .int(depth), .output(out, pairs(depth) * width)])
            },
            transposePanel: { [server] source, rows, out in
                server.call(
                    .bfloat16TransposePanel,
                    [.input(source, (rows + 1) / 2 * width), .int(rows), .output(out, width * width / 2)])
            },
            errorSquares: { [server] a, count in
                float(server.call(.bfloat16ErrorSquares, [.input(a, count), .int(count)]))
            })
    }
}
