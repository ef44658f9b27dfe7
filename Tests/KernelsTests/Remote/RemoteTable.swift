import KernelInterface

/// A kernel table whose entries call a server's, so that the tests of kernels run as they are on CPUs that are not here.
struct RemoteTable: Sendable {
    let server: KernelServer
    private let constants: [Int]
    private let name: String

    init(_ server: KernelServer) {
        self.server = server
        var constants = [Int](repeating: 0, count: KernelConstant.count.rawValue)
        var name = [UInt8](repeating: 0, count: 32)
        server.call(.constants, [.output(&constants, constants.count), .output(&name, name.count)])
        self.constants = constants
        self.name = String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }

    subscript(_ constant: KernelConstant) -> Int { constants[constant.rawValue] }
    var lanes: Int { self[.lanes] }
    var tileRows: Int { self[.tileRows] }
    var width: Int { self[.panelWidth] }

    /// Rows in whole tiles.
    var tiled: @Sendable (_ rows: Int) -> Int {
        { [tileRows] rows in (rows + tileRows - 1) / tileRows * tileRows }
    }

    var table: KernelTable {
        KernelTable(
            instructionSet: name, lanes: lanes, gemm: gemm, bfloat16: bfloat16, winograd2: winograd(outputSize: 2),
            winograd4: winograd(outputSize: 4), integerWinograd: integerWinograd, elementwise: elementwise, norm: norm,
            attention: attention(isBFloat16: false), attentionBFloat16: attention(isBFloat16: true), sparse: sparse)
    }

    private var elementwise: ElementwiseKernels {
        func unary(_ entry: KernelEntry) -> ElementwiseKernels.Unary {
            { [server] x, y, count in server.call(entry, [.input(x, count), .output(y, count), .int(count)]) }
        }
        func binary(_ entry: KernelEntry) -> ElementwiseKernels.Binary {
            { [server] a, b, y, count in
                server.call(entry, [.input(a, count), .input(b, count), .output(y, count), .int(count)])
            }
        }
        return ElementwiseKernels(
            add: binary(.add),
            scale: { [server] factor, x, y, count in
                server.call(.scale, [.float(factor), .input(x, count), .output(y, count), .int(count)])
            },
            silu: unary(.silu), siluBackward: binary(.siluBackward), geluErf: unary(.geluErf),
            geluErfBackward: binary(.geluErfBackward), geluQuick: unary(.geluQuick),
            geluQuickBackward: binary(.geluQuickBackward),
            geglu: { [server] x, y, rows, width in
                server.call(
                    .geglu, [.input(x, 2 * rows * width), .output(y, rows * width), .int(rows), .int(width)])
            },
            gegluBackward: { [server] dy, x, dx, rows, width in
                server.call(
                    .gegluBackward,
                    [
                        .input(dy, rows * width), .input(x, 2 * rows * width), .output(dx, 2 * rows * width), .int(rows),
                        .int(width),
                    ])
            })
    }

    private var norm: NormKernels {
        func normalize(_ entry: KernelEntry) -> NormKernels.GroupNormalize {
            { [server] x, rows, channels, coefficients, y in
                server.call(
                    entry,
                    [
                        .input(x, rows * channels), .int(rows), .int(channels), .input(coefficients, 2 * channels),
                        .output(y, rows * channels),
                    ])
            }
        }
        func sums(_ entry: KernelEntry) -> NormKernels.GroupGradientSums {
            { [server] dy, x, rows, channels, groups, coefficients, scratch, result in
                let count = rows * channels
                server.call(
                    entry,
                    [
                        .input(dy, count), .input(x, count), .int(rows), .int(channels), .int(groups),
                        .input(coefficients, 4 * channels), .output(scratch, 2 * channels), .output(result, 2 * groups),
                    ])
            }
        }
        func backward(_ entry: KernelEntry) -> NormKernels.GroupBackward {
            { [server] dy, x, rows, channels, coefficients, base, dx in
                let count = rows * channels
                server.call(
                    entry,
                    [
                        .input(dy, count), .input(x, count), .int(rows), .int(channels),
                        .input(coefficients, 6 * channels), .input(base, count), .output(dx, count),
                    ])
            }
        }
        return NormKernels(
            groupStatistics: { [server] x, rows, channels, groups, scratch, result in
                server.call(
                    .groupStatistics,
                    [
                        .input(x, rows * channels), .int(rows), .int(channels), .int(groups),
                        .output(scratch, 3 * channels), .output(result, 2 * groups),
                    ])
            },
            groupNormalize: normalize(.groupNormalize), groupNormalizeSilu: normalize(.groupNormalizeSilu),
            groupGradientSums: sums(.groupGradientSums), groupGradientSumsSilu: sums(.groupGradientSumsSilu),
            groupBackward: backward(.groupBackward), groupBackwardSilu: backward(.groupBackwardSilu),
            layer: { [server] x, rows, channels, weight, bias, epsilon, y, saved in
                server.call(
                    .layer,
                    [
                        .input(x, rows * channels), .int(rows), .int(channels), .input(weight, channels),
                        .input(bias, channels), .float(epsilon), .output(y, rows * channels), .output(saved, 2 * rows),
                    ])
            },
            layerBackward: { [server] dy, x, rows, channels, weight, saved, base, dx in
                let count = rows * channels
                server.call(
                    .layerBackward,
                    [
                        .input(dy, count), .input(x, count), .int(rows), .int(channels), .input(weight, channels),
                        .input(saved, 2 * rows), .input(base, count), .output(dx, count),
                    ])
            })
    }
}
