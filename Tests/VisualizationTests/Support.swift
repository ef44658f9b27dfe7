import Checkpoints
import Files
import Foundation
import Ops
import Tensors
import Testing

import Visualization

/// Tensors and JSON of `Fixtures/NAME`.
struct Golden {
    let tensors: SafetensorsFile
    let json: JSON

    init(_ name: String) throws {
        tensors = try SafetensorsFile(path: Self.path("\(name).safetensors"))
        json = try JSON.read(Self.path("\(name).json"))
    }

    static func path(_ name: String) throws -> String {
        try #require(Bundle.module.resourcePath) + "/Fixtures/" + name
    }

    func callAsFunction(_ name: String) throws -> Tensor {
        let weight = try tensors.weight(name)
        return Tensor(weight.shape, weight.floats())
    }
}

/// ‖a − b‖ / ‖b‖; infinite for different shapes.
func relativeError(_ a: Tensor, _ b: Tensor) -> Double {
    guard a.shape == b.shape else { return .infinity }
    var (difference, norm) = (0.0, 0.0)
    for (x, y) in zip(a.array, b.array) {
        difference += (Double(x) - Double(y)) * (Double(x) - Double(y))
        norm += Double(y) * Double(y)
    }
    if difference.isNaN { return .infinity }
    return norm > 0 ? (difference / norm).squareRoot() : difference.squareRoot()
}

func randomTensor(_ shape: [Int], seed: UInt64) -> Tensor {
    CounterRandom(seed: seed, purpose: .initialization).normals(shape)
}

func bits(_ tensor: Tensor) -> [UInt32] { tensor.array.map(\.bitPattern) }

/// A stand-in for the U-Net whose gradient is known: each position's four numbers times a matrix [4, D].
struct LinearLayer: DreamLayer {
    let engine: Engine
    let matrix: Tensor

    init(channels: Int, seed: UInt64 = 7) throws {
        engine = try Engine(threads: 1)
        matrix = randomTensor([4, channels], seed: seed)
    }

    func activation(_ latent: Tensor) -> Tensor {
        let x = latent.channelsLast()
        let tokens = [latent.shape[0], latent.shape[2] * latent.shape[3]]
        let result = Tensor.zeros(tokens + [matrix.channels])
        for row in 0..<x.rows {
            for i in 0..<4 {
                for j in 0..<matrix.channels {
                    result.pointer[row * matrix.channels + j] +=
                        x.pointer[row * 4 + i] * matrix.pointer[i * matrix.channels + j]
                }
            }
        }
        return result
    }

    func forward(_ latent: Tensor) -> (activation: Tensor, vjp: (Tensor) -> Tensor) {
        (
            activation(latent),
            { gradient in
                let shape = [latent.shape[0], latent.shape[2], latent.shape[3], 4]
                let result = Tensor.zeros(shape)
                let width = matrix.channels
                for row in 0..<result.rows {
                    for i in 0..<4 {
                        for j in 0..<width {
                            result.pointer[row * 4 + i] +=
                                gradient.pointer[row * width + j] * matrix.pointer[i * width + j]
                        }
                    }
                }
                return result.channelsFirst()
            }
        )
    }
}

/// e^(−2πi k/n).
func rootOfUnity(_ k: Int, of n: Int) -> SIMD2<Double> {
    let angle = -2 * Double.pi * Double(k) / Double(n)
    return SIMD2(cos(angle), sin(angle))
}
