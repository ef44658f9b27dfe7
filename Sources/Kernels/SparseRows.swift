import KernelInterface

// Sums and products over a few rows of a matrix: the sparse halves of an autoencoder. All are bound by how fast the
// rows arrive, so the sums stay in registers (eight vectors) and each row's piece is read once, front to back.

/// `SparseKernels.sumRows`.
func sparseSumRows(
    _ ids: UnsafePointer<UInt32>, _ factors: UnsafePointer<Float>, _ count: Int, _ matrix: UnsafePointer<Float>,
    _ stride: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ accumulate: Bool
) {
    var column = 0
    while column + 8 * lanes <= columns {
        sumEightVectors(ids, factors, count, matrix + column, stride, out + column, accumulate)
        column += 8 * lanes
    }
    while column + lanes <= columns {
        var sum = accumulate ? out.vec(column) : Vec.zero
        for i in 0..<count {
            sum = multiplyAdd(Vec(repeating: factors[i]), matrix.vec(Int(ids[i]) * stride + column), sum)
        }
        out.store(sum, column)
        column += lanes
    }
    while column < columns {
        var sum = accumulate ? out[column] : 0
        for i in 0..<count { sum += factors[i] * matrix[Int(ids[i]) * stride + column] }
        out[column] = sum
        column += 1
    }
}

@inline(__always)
private func sumEightVectors(
    _ ids: UnsafePointer<UInt32>, _ factors: UnsafePointer<Float>, _ count: Int, _ matrix: UnsafePointer<Float>,
    _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ accumulate: Bool
) {
    var (s0, s1, s2, s3) = (Vec.zero, Vec.zero, Vec.zero, Vec.zero)
    var (s4, s5, s6, s7) = (Vec.zero, Vec.zero, Vec.zero, Vec.zero)
    if accumulate {
        (s0, s1, s2, s3) = (out.vec(0), out.vec(lanes), out.vec(2 * lanes), out.vec(3 * lanes))
        (s4, s5, s6, s7) = (out.vec(4 * lanes), out.vec(5 * lanes), out.vec(6 * lanes), out.vec(7 * lanes))
    }
    for i in 0..<count {
        let row = matrix + Int(ids[i]) * stride
        let factor = Vec(repeating: factors[i])
        s0 = multiplyAdd(factor, row.vec(0), s0)
        s1 = multiplyAdd(factor, row.vec(lanes), s1)
        s2 = multiplyAdd(factor, row.vec(2 * lanes), s2)
        s3 = multiplyAdd(factor, row.vec(3 * lanes), s3)
        s4 = multiplyAdd(factor, row.vec(4 * lanes), s4)
        s5 = multiplyAdd(factor, row.vec(5 * lanes), s5)
        s6 = multiplyAdd(factor, row.vec(6 * lanes), s6)
        s7 = multiplyAdd(factor, row.vec(7 * lanes), s7)
    }
    out.store(s0, 0)
    out.store(s1, lanes)
    out.store(s2, 2 * lanes)
    out.store(s3, 3 * lanes)
    out.store(s4, 4 * lanes)
    out.store(s5, 5 * lanes)
    out.store(s6, 6 * lanes)
    out.store(s7, 7 * lanes)
}

/// `SparseKernels.dotRows`.
func sparseDotRows(
    _ vector: UnsafePointer<Float>, _ ids: UnsafePointer<UInt32>, _ count: Int, _ matrix: UnsafePointer<Float>,
    _ stride: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ accumulate: Bool
) {
    var i = 0
    while i + 4 <= count {
        let sums = dotFourRows(
            vector, matrix + Int(ids[i]) * stride, matrix + Int(ids[i + 1]) * stride,
            matrix + Int(ids[i + 2]) * stride, matrix + Int(ids[i + 3]) * stride, columns)
        for j in 0..<4 { out[i + j] = accumulate ? out[i + j] + sums[j] : sums[j] }
        i += 4
    }
    while i < count {
        let row = matrix + Int(ids[i]) * stride
        let sum = dotFourRows(vector, row, row, row, row, columns)[0]
        out[i] = accumulate ? out[i] + sum : sum
        i += 1
    }
}

/// Four rows share the vector's loads, and their horizontal sums overlap.
@inline(__always)
private func dotFourRows(
    _ vector: UnsafePointer<Float>, _ r0: UnsafePointer<Float>, _ r1: UnsafePointer<Float>,
    _ r2: UnsafePointer<Float>, _ r3: UnsafePointer<Float>, _ columns: Int
) -> SIMD4<Float> {
    var (s0, s1, s2, s3) = (Vec.zero, Vec.zero, Vec.zero, Vec.zero)
    var (t0, t1, t2, t3) = (Vec.zero, Vec.zero, Vec.zero, Vec.zero)
    var i = 0
    while i + 2 * lanes <= columns {
        let (left, right) = (vector.vec(i), vector.vec(i + lanes))
        s0 = multiplyAdd(left, r0.vec(i), s0)
        t0 = multiplyAdd(right, r0.vec(i + lanes), t0)
        s1 = multiplyAdd(left, r1.vec(i), s1)
        t1 = multiplyAdd(right, r1.vec(i + lanes), t1)
        s2 = multiplyAdd(left, r2.vec(i), s2)
        t2 = multiplyAdd(right, r2.vec(i + lanes), t2)
        s3 = multiplyAdd(left, r3.vec(i), s3)
        t3 = multiplyAdd(right, r3.vec(i + lanes), t3)
        i += 2 * lanes
    }
    var sums = SIMD4(horizontalSum(s0 + t0), horizontalSum(s1 + t1), horizontalSum(s2 + t2), horizontalSum(s3 + t3))
    while i < columns {
        sums += vector[i] * SIMD4(r0[i], r1[i], r2[i], r3[i])
        i += 1
    }
    return sums
}

/// `SparseKernels.dot`.
func sparseDot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
    var (s0, s1, s2, s3) = (Vec.zero, Vec.zero, Vec.zero, Vec.zero)
    var i = 0
    while i + 4 * lanes <= count {
        s0 = multiplyAdd(a.vec(i), b.vec(i), s0)
        s1 = multiplyAdd(a.vec(i + lanes), b.vec(i + lanes), s1)
        s2 = multiplyAdd(a.vec(i + 2 * lanes), b.vec(i + 2 * lanes), s2)
        s3 = multiplyAdd(a.vec(i + 3 * lanes), b.vec(i + 3 * lanes), s3)
        i += 4 * lanes
    }
    while i + lanes <= count {
        s0 = multiplyAdd(a.vec(i), b.vec(i), s0)
        i += lanes
    }
    var sum = horizontalSum((s0 + s1) + (s2 + s3))
    while i < count {
        sum += a[i] * b[i]
        i += 1
    }
    return sum
}

/// `SparseKernels.combine`.
func sparseCombine(
    _ a: UnsafePointer<Float>, _ alpha: Float, _ b: UnsafePointer<Float>, _ beta: Float, _ count: Int,
    _ out: UnsafeMutablePointer<Float>
) -> Float {
    let (alphas, betas) = (Vec(repeating: alpha), Vec(repeating: beta))
    var (squares, i) = (Vec.zero, 0)
    while i + lanes <= count {
        let value = multiplyAdd(alphas, a.vec(i), betas * b.vec(i))
        out.store(value, i)
        squares = multiplyAdd(value, value, squares)
        i += lanes
    }
    var sum = horizontalSum(squares)
    while i < count {
        let value = alpha * a[i] + beta * b[i]
        out[i] = value
        sum += value * value
        i += 1
    }
    return sum
}

/// `SparseKernels.adam`.
func sparseAdam(
    _ weights: UnsafeMutablePointer<Float>, _ gradient: UnsafePointer<Float>, _ mean: UnsafeMutablePointer<Float>,
    _ square: UnsafeMutablePointer<Float>, _ count: Int, _ step: AdamStep, _ scale: Float, _ parallel: Float
) {
    var i = 0
    while i + lanes <= count {
        let w = weights.vec(i)
        let g = gradient.vec(i) * scale - w * parallel
        let m = mean.vec(i) * step.beta1 + g * (1 - step.beta1)
        let v = square.vec(i) * step.beta2 + g * g * (1 - step.beta2)
        mean.store(m, i)
        square.store(v, i)
        weights.store(w - m * step.size / (v.squareRoot() * step.rootScale + step.epsilon), i)
        i += lanes
    }
    while i < count {
        let w = weights[i]
        let g = gradient[i] * scale - w * parallel
        mean[i] = mean[i] * step.beta1 + g * (1 - step.beta1)
        square[i] = square[i] * step.beta2 + g * g * (1 - step.beta2)
        weights[i] = w - mean[i] * step.size / (square[i].squareRoot() * step.rootScale + step.epsilon)
        i += 1
    }
}

func sparseKernels() -> SparseKernels {
    SparseKernels(
        packPanel: sparsePackPanel, select: sparseSelect, selectAbove: sparseSelectAbove,
        countPositive: sparseCountPositive, sumRows: sparseSumRows, dotRows: sparseDotRows, dot: sparseDot,
        combine: sparseCombine, adam: sparseAdam)
}
