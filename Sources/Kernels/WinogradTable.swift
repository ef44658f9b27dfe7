import KernelInterface

/// F(4×4, 3×3).
func makeWinograd4() -> WinogradKernels {
    WinogradKernels(
        outputSize: 4,
        filter: { taps, stride, depth, out, elementStride in
            winogradFilter(Winograd4.self, depth, out, elementStride) { (taps + $0 * stride).vec($1) }
        },
        filterHalf: { taps, stride, depth, out, elementStride in
            winogradFilter(Winograd4.self, depth, out, elementStride) { widened(taps + $0 * stride + $1) }
        },
        input: { winogradInput(Winograd4.self, $0, $1, $2, $3, $4, $5, $6) },
        output: { winogradOutput(Winograd4.self, $0, $1, $2, $3, $4, $5, $6, $7) })
}

/// F(2×2, 3×3).
func makeWinograd2() -> WinogradKernels {
    WinogradKernels(
        outputSize: 2,
        filter: { taps, stride, depth, out, elementStride in
            winogradFilter(Winograd2.self, depth, out, elementStride) { (taps + $0 * stride).vec($1) }
        },
        filterHalf: { taps, stride, depth, out, elementStride in
            winogradFilter(Winograd2.self, depth, out, elementStride) { widened(taps + $0 * stride + $1) }
        },
        input: { winogradInput(Winograd2.self, $0, $1, $2, $3, $4, $5, $6) },
        output: { winogradOutput(Winograd2.self, $0, $1, $2, $3, $4, $5, $6, $7) })
}
