import KernelInterface

// How much memory the kernels of Winograd's convolutions read and write, by their contract.

extension RemoteTable {
    func winograd(outputSize size: Int) -> WinogradKernels {
        let (lanes, tileRows, width) = (lanes, tileRows, width)
        let (points, isTwo) = ((size + 2) * (size + 2), size == 2)
        @Sendable func elements(_ out: UnsafeMutablePointer<Float>, _ stride: Int, _ count: Int) -> RemoteArgument {
            .output(out, (points - 1) * stride + count)
        }
        return WinogradKernels(
            outputSize: size,
            filter: { [server] source, tapStride, depth, out, stride in
                server.call(
                    isTwo ? .winograd2Filter : .winograd4Filter,
                    [
                        taps(source, tapStride, depth * width), .int(tapStride), .int(depth),
                        elements(out, stride, depth * width), .int(stride),
                    ])
            },
            filterHalf: { [server] source, tapStride, depth, out, stride in
                server.call(
                    isTwo ? .winograd2FilterHalf : .winograd4FilterHalf,
                    [
                        taps(source, tapStride, depth * width), .int(tapStride), .int(depth),
                        elements(out, stride, depth * width), .int(stride),
                    ])
            },
            input: { [server] x, offsets, tiles, depth, scratch, out, stride in
                let end = (0..<tiles * points).map { offsets[$0] + depth }.max() ?? 0
                server.call(
                    isTwo ? .winograd2Input : .winograd4Input,
                    [
                        .input(x, end), .input(offsets, tiles * points), .int(tiles), .int(depth),
                        .output(scratch, (tileRows + 1) * points * lanes), elements(out, stride, depth * tileRows),
                        .int(stride),
                    ])
            },
            output: winogradOutput(isTwo ? .winograd2Output : .winograd4Output, size))
    }

    var integerWinograd: IntegerWinogradKernels {
        let (lanes, tileRows, width) = (lanes, tileRows, width)
        let points = IntegerWinogradKernels.elements
        @Sendable func elements(
            _ out: UnsafeMutablePointer<UInt32>, _ stride: Int, _ depth: Int, _ width: Int
        ) -> RemoteArgument {
            .output(out, (points - 1) * stride + IntegerWinogradKernels.words(depth) * width)
        }
        return IntegerWinogradKernels(
            filter: { [server] source, tapStride, depth, out, stride in
                server.call(
                    .integerWinogradFilter,
                    [
                        taps(source, tapStride, depth / 2 * width), .int(tapStride), .int(depth),
                        elements(out, stride, depth, width), .int(stride),
                    ])
            },
            input: { [server] x, offsets, tiles, depth, scratch, out, stride in
                let end = (0..<tiles * points).map { offsets[$0] + depth }.max() ?? 0
                server.call(
                    .integerWinogradInput,
                    [
                        .input(x, end), .input(offsets, tiles * points), .int(tiles), .int(depth),
                        .output(
                            scratch,
                            IntegerWinogradKernels.inputScratch(depth: depth, tileRows: tileRows, lanes: lanes)),
                        elements(out, stride, depth, tileRows), .int(stride),
                    ])
            },
            multiply: { [server, tiled] a, rows, words, panel, c, stride, accumulate in
                server.call(
                    .integerWinogradMultiply,
                    [
                        .input(a, tiled(rows) * words), .int(rows), .int(words), .input(panel, words * width),
                        .output(c, (rows - 1) * stride + width), .int(stride), .bool(accumulate),
                    ])
            },
            output: winogradOutput(.integerWinogradOutput, IntegerWinogradKernels.outputSize))
    }

    private func winogradOutput(_ entry: KernelEntry, _ size: Int) -> WinogradKernels.Output {
        let points = (size + 2) * (size + 2)
        return { [server] products, stride, columns, y, offsets, bias, sampleBias, residual in
            let end = (0..<size * size).map { offsets[$0] + columns }.max() ?? 0
            server.call(
                entry,
                [
                    .input(products, (points - 1) * stride + columns), .int(stride), .int(columns), .output(y, end),
                    .input(offsets, size * size), .input(bias, columns), .input(sampleBias, columns),
                    .input(residual, end),
                ])
        }
    }
}

/// The nine taps, wherever the stride leads.
private func taps<T>(_ taps: UnsafePointer<T>, _ stride: Int, _ count: Int) -> RemoteArgument {
    .input(taps, from: min(0, 8 * stride), to: max(0, 8 * stride) + count)
}
