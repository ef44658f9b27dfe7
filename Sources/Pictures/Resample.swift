extension Bitmap {
    /// The same picture at another size: every new pixel is the mean of the area it covers (8-bit values as they are).
    /// Shrinking does not alias; growing by a whole factor repeats pixels, so that small pictures stay crisp.
    public func resized(width newWidth: Int, height newHeight: Int) -> Bitmap {
        if newWidth == width && newHeight == height { return self }
        let horizontal = Self.coverage(from: width, to: newWidth)
        let vertical = Self.coverage(from: height, to: newHeight)
        var rows = [Float](repeating: 0, count: height * newWidth * 3)
        for y in 0..<height {
            for (x, weights) in horizontal.enumerated() {
                for (source, weight) in weights {
                    for c in 0..<3 {
                        rows[(y * newWidth + x) * 3 + c] += weight * Float(pixels[(y * width + source) * 3 + c])
                    }
                }
            }
        }
        var result = Bitmap(width: newWidth, height: newHeight, red: 0, green: 0, blue: 0)
        for (y, weights) in vertical.enumerated() {
            for i in 0..<newWidth * 3 {
                let value = weights.reduce(Float(0)) { $0 + $1.weight * rows[$1.source * newWidth * 3 + i] }
                result.pixels[y * newWidth * 3 + i] = UInt8(min(255, value.rounded()))
            }
        }
        return result
    }

    /// Shrunk, keeping its proportions, until it fits; never grown.
    public func fitting(width maxWidth: Int, height maxHeight: Int) -> Bitmap {
        let factor = min(1, Double(maxWidth) / Double(width), Double(maxHeight) / Double(height))
        return resized(
            width: max(1, Int((Double(width) * factor).rounded())),
            height: max(1, Int((Double(height) * factor).rounded())))
    }

    /// Repeats every pixel `factor` times in both directions.
    public func enlarged(by factor: Int) -> Bitmap { resized(width: width * factor, height: height * factor) }

    /// For every new pixel, the old pixels under it and the share of each.
    private static func coverage(from old: Int, to new: Int) -> [[(source: Int, weight: Float)]] {
        precondition(new > 0, "cannot resize to \(new) pixels")
        let scale = Double(old) / Double(new)
        return (0..<new).map { i in
            let (start, end) = (Double(i) * scale, Double(i + 1) * scale)
            let last = min(old - 1, max(Int(start), Int(end.rounded(.up)) - 1))
            return (Int(start)...last).compactMap { source in
                let share = min(end, Double(source + 1)) - max(start, Double(source))
                return share > 1e-9 ? (source, Float(share / scale)) : nil
            }
        }
    }
}
