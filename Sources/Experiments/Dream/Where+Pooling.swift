import Files
import Pictures
import StableDiffusion
import Visualization

extension Where {
    /// The rule on a layer's map.
    ///
    /// - Parameters:
    ///   - latents: height and width.
    ///   - reference: a mask's path is meant from its base.
    /// - Throws: `SimpleFailure`: `.usage` for a position outside the map, `.badData` for a mask that is black there; a
    ///   `Failure` for a picture that cannot be read.
    package func pooling(
        of hook: HookPoint, latents: (height: Int, width: Int), in reference: ModelReference
    ) throws -> Pooling {
        let map = hook.map(height: latents.height, width: latents.width)
        switch self {
        case .mean: return .mean
        case .peak(let sharpness): return .peak(sharpness: sharpness)
        case .position(let x, let y):
            guard x < map.width, y < map.height else {
                throw SimpleFailure(
                    .usage,
                    "position \(x),\(y): the map of \(hook.name) is \(map.width)×\(map.height) here, so x is 0 to "
                        + "\(map.width - 1) and y 0 to \(map.height - 1)")
            }
            var weights = [Float](repeating: 0, count: map.width * map.height)
            weights[y * map.width + x] = 1
            return .weights(weights)
        case .mask(let file): return .weights(try Self.weights(of: reference.resolved(file), map))
        }
    }

    /// The brightness of a picture at each position of a map, the mean of red, green and blue; all add up to 1.
    private static func weights(of file: String, _ map: (height: Int, width: Int)) throws -> [Float] {
        let pixels = try PictureFile.read(file).resized(width: map.width, height: map.height).pixels
        let brightness = stride(from: 0, to: pixels.count, by: 3).map { place in
            pixels[place..<place + 3].reduce(0) { $0 + Float($1) }
        }
        let sum = brightness.reduce(0, +)
        guard sum > 0 else {
            throw SimpleFailure(.badData, "\(file): black on a map of \(map.width)×\(map.height): it selects no position")
        }
        return brightness.map { $0 / sum }
    }
}
