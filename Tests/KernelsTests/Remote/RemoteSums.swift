import KernelInterface

// How much memory the kernels of attention and of sparse autoencoders read and write, by their contracts.

extension RemoteTable {
    func attention(isBFloat16: Bool) -> AttentionKernels {
        /// Tokens up to `end`, whose rows lie `stride` apart.
        @Sendable func rows(_ end: Int, _ stride: Int, _ width: Int) -> Int { end > 0 ? (end - 1) * stride + width : 0 }
        @Sendable func list(_ head: AttentionHead) -> [RemoteArgument] {
            [
                .int(head.width), .int(head.queryStride), .int(head.keyStride), .float(head.scale), .bool(head.causal),
            ]
        }
        func entry(_ float: KernelEntry, _ bfloat16: KernelEntry) -> KernelEntry { isBFloat16 ? bfloat16 : float }
        func pack(_ entry: KernelEntry) -> AttentionKernels.Pack {
            { [server] source, stride, keys, width, packed in
                server.call(
                    entry,
                    [
                        .input(source, rows(keys, stride, width)), .int(stride), .int(keys), .int(width),
                        .output(packed, packedCount(keys, width)),
                    ])
            }
        }
        let (packedEntry, scratchEntry, backwardScratchEntry) = (
            entry(.attentionPackedCount, .attentionBFloat16PackedCount),
            entry(.attentionScratchCount, .attentionBFloat16ScratchCount),
            entry(.attentionBackwardScratchCount, .attentionBFloat16BackwardScratchCount)
        )
        @Sendable func packedCount(_ keys: Int, _ width: Int) -> Int {
            Int(server.call(packedEntry, [.int(keys), .int(width)]))
        }
        @Sendable func scratchCount(_ width: Int) -> Int { Int(server.call(scratchEntry, [.int(width)])) }
        @Sendable func backwardScratchCount(_ keys: Int, _ width: Int) -> Int {
            Int(server.call(backwardScratchEntry, [.int(keys), .int(width)]))
        }
        let (forward, backwardQuery, backward, rowDots) = (
            entry(.attentionForward, .attentionBFloat16Forward),
            entry(.attentionBackwardQuery, .attentionBFloat16BackwardQuery),
            entry(.attentionBackward, .attentionBFloat16Backward),
            entry(.attentionRowDots, .attentionBFloat16RowDots)
        )
        return AttentionKernels(
            queryBlock: self[isBFloat16 ? .attentionBFloat16QueryBlock : .attentionQueryBlock], packedCount: packedCount,
            scratchCount: scratchCount, backwardScratchCount: backwardScratchCount,
            packTokens: pack(entry(.attentionPackTokens, .attentionBFloat16PackTokens)),
            packChannels: pack(entry(.attentionPackChannels, .attentionBFloat16PackChannels)),
            forward: { [server] head, query, queries, keyTokens, valueChannels, keys, out, softmax, stride, scratch in
                let count = rows(queries.upperBound, head.queryStride, head.width)
                let packed = packedCount(keys, head.width)
                server.call(
                    forward,
                    list(head) + [
                        .input(query, count), .int(queries.lowerBound), .int(queries.upperBound), .input(keyTokens, packed),
                        .input(valueChannels, packed), .int(keys), .output(out, count),
                        .output(softmax, stride + queries.upperBound), .int(stride),
                        .output(scratch, scratchCount(head.width)),
                    ])
            },
            backwardQuery: {
                [server]
                head, query, dOut, queries, keyTokens, valueTokens, keyChannels, keys, softmax, stride, delta, dQuery,
                scratch in
                let count = rows(queries.upperBound, head.queryStride, head.width)
                let packed = packedCount(keys, head.width)
                server.call(
                    backwardQuery,
                    list(head) + [
                        .input(query, count), .input(dOut, count), .int(queries.lowerBound), .int(queries.upperBound),
                        .input(keyTokens, packed), .input(valueTokens, packed), .input(keyChannels, packed), .int(keys),
                        .input(softmax, stride + queries.upperBound), .int(stride), .input(delta, queries.upperBound),
                        .output(dQuery, count), .output(scratch, scratchCount(head.width)),
                    ])
            },
            backward: {
                [server]
                head, query, dOut, queries, key, value, keys, softmax, stride, delta, dQuery, dKey, dValue, scratch in
                let queryCount = rows(queries, head.queryStride, head.width)
                let keyCount = rows(keys.upperBound, head.keyStride, head.width)
                server.call(
                    backward,
                    list(head) + [
                        .input(query, queryCount), .input(dOut, queryCount), .int(queries), .input(key, keyCount),
                        .input(value, keyCount), .int(keys.lowerBound), .int(keys.upperBound),
                        .input(softmax, stride + queries), .int(stride), .input(delta, queries),
                        .output(dQuery, queryCount), .output(dKey, keyCount), .output(dValue, keyCount),
                        .output(scratch, backwardScratchCount(keys.count, head.width)),
                    ])
            },
            rowDots: { [server] a, b, stride, count, width, result in
                let floats = rows(count, stride, width)
                server.call(
                    rowDots,
                    [.input(a, floats), .input(b, floats), .int(stride), .int(count), .int(width), .output(result, count)])
            })
    }

    var sparse: SparseKernels {
        let width = width
        /// The matrix as far as its rows `ids` reach.
        @Sendable func matrix(
            _ matrix: UnsafePointer<Float>, _ stride: Int, _ ids: UnsafePointer<UInt32>, _ count: Int, _ columns: Int
        ) -> RemoteArgument {
            .input(matrix, (0..<count).map { Int(ids[$0]) * stride + columns }.max() ?? 0)
        }
        return SparseKernels(
            packPanel: { [server] source, stride, ids, columns, depth, panel in
                server.call(
                    .sparsePackPanel,
                    [
                        matrix(source, stride, ids, columns, depth), .int(stride), .input(ids, columns), .int(columns),
                        .int(depth), .output(panel, depth * width),
                    ])
            },
            select: { [server] tile, rows, bias, ids, columns, firstIndex, indexStride, bound, keys in
                Int(
                    server.call(
                        .sparseSelect,
                        [
                            .input(tile, rows * width), .int(rows), .input(bias, width), .input(ids, columns),
                            .int(columns), .int(firstIndex), .int(indexStride), .int(bound), .output(keys, rows * columns),
                        ]))
            },
            selectAbove: { [server] tile, rows, bias, gate, ids, columns, firstIndex, indexStride, keys in
                Int(
                    server.call(
                        .sparseSelectAbove,
                        [
                            .input(tile, rows * width), .int(rows), .input(bias, width), .input(gate, width),
                            .input(ids, columns), .int(columns), .int(firstIndex), .int(indexStride),
                            .output(keys, rows * columns),
                        ]))
            },
            countPositive: { [server] tile, rows, bias in
                Int(server.call(.sparseCountPositive, [.input(tile, rows * width), .int(rows), .input(bias, width)]))
            },
            sumRows: { [server] ids, factors, count, source, stride, columns, out, accumulate in
                server.call(
                    .sparseSumRows,
                    [
                        .input(ids, count), .input(factors, count), .int(count), matrix(source, stride, ids, count, columns),
                        .int(stride), .int(columns), .output(out, columns), .bool(accumulate),
                    ])
            },
            dotRows: { [server] vector, ids, count, source, stride, columns, out, accumulate in
                server.call(
                    .sparseDotRows,
                    [
                        .input(vector, columns), .input(ids, count), .int(count),
                        matrix(source, stride, ids, count, columns), .int(stride), .int(columns), .output(out, count),
                        .bool(accumulate),
                    ])
            },
            dot: { [server] a, b, count in
                float(server.call(.sparseDot, [.input(a, count), .input(b, count), .int(count)]))
            },
            combine: { [server] a, alpha, b, beta, count, out in
                float(
                    server.call(
                        .sparseCombine,
                        [.input(a, count), .float(alpha), .input(b, count), .float(beta), .int(count), .output(out, count)]))
            },
            adam: { [server] weights, gradient, mean, square, count, step, scale, parallel in
                server.call(
                    .sparseAdam,
                    [
                        .output(weights, count), .input(gradient, count), .output(mean, count), .output(square, count),
                        .int(count), .float(step.beta1), .float(step.beta2), .float(step.epsilon), .float(step.size),
                        .float(step.rootScale), .float(scale), .float(parallel),
                    ])
            })
    }
}

/// The number whose bits a server gave back.
func float(_ result: Int64) -> Float { Float(bitPattern: UInt32(truncatingIfNeeded: result)) }
