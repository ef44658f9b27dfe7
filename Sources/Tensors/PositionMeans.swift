extension Tensor {
    /// The means over positions, `[B, N, D] → [B, D]`, summed in double precision: a map of 4096 positions would lose
    /// digits in float32.
    ///
    /// - Precondition: three axes, none of them empty.
    public func positionMeans() -> Tensor {
        precondition(shape.count == 3 && count > 0, "position means of \(shape)")
        let (batch, positions, width) = (shape[0], shape[1], shape[2])
        let means = Tensor([batch, width])
        for sample in 0..<batch {
            var sums = [Double](repeating: 0, count: width)
            for position in 0..<positions {
                let row = pointer + (sample * positions + position) * width
                for channel in 0..<width { sums[channel] += Double(row[channel]) }
            }
            for channel in 0..<width { means.pointer[sample * width + channel] = Float(sums[channel] / Double(positions)) }
        }
        return means
    }
}
