import Tensors

extension Tensor {
    /// Mean over all elements, summed in double precision in order.
    var mean: Double {
        var sum = 0.0
        for i in 0..<count { sum += Double(pointer[i]) }
        return sum / Double(count)
    }

    /// Sample standard deviation (n − 1) over all elements.
    package var deviation: Double {
        let mean = mean
        var sum = 0.0
        for i in 0..<count {
            let distance = Double(pointer[i]) - mean
            sum += distance * distance
        }
        return (sum / Double(max(count - 1, 1))).squareRoot()
    }

    package var isFinite: Bool {
        for i in 0..<count where !pointer[i].isFinite { return false }
        return true
    }
}
