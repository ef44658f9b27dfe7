import LVO
import ReferenceKernels

// The slow twins (ReferenceKernels) of a few results, in double precision: those of a whole case would take hours.

extension Tensor {
    var doubles: [Double] { array.map(Double.init) }

    /// Rows `places` of the tensor as a matrix of `channels` columns.
    func rows(_ places: [Int]) -> [Float] {
        places.flatMap { Array(UnsafeBufferPointer(start: pointer + $0 * channels, count: channels)) }
    }

    /// The square of three by three pixels about a pixel of the map `[1, H, W, C]`, zeros outside.
    func neighbourhood(_ row: Int, _ column: Int) -> [Double] {
        (-1...1).flatMap { dy in
            (-1...1).flatMap { dx -> [Double] in
                let (y, x) = (row + dy, column + dx)
                guard (0..<shape[1]).contains(y), (0..<shape[2]).contains(x) else {
                    return [Double](repeating: 0, count: channels)
                }
                return rows([y * shape[2] + x]).map(Double.init)
            }
        }
    }
}

/// ‖found − expected‖ / ‖expected‖.
func relativeError(_ found: [Float], _ expected: [Double]) -> Double {
    precondition(found.count == expected.count, "\(found.count) values for \(expected.count)")
    let difference = zip(found, expected).reduce(0.0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
    return (difference / expected.reduce(0.0) { $0 + $1 * $1 }).squareRoot()
}

/// Corners, edges and the middle of a map.
func samplePixels(_ side: Int) -> [(row: Int, column: Int)] {
    [(0, 0), (0, side / 2), (side - 1, side - 1), (side / 2, side / 2 - 1), (side / 2 + 1, 0)]
}
