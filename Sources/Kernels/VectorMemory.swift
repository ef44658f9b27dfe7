// Parts of a vector at the end of a row, and loops over rows of any length.

extension UnsafePointer<Float> {
    /// The first `count` lanes from element `index`, the others zero. Reads nothing beyond them.
    @inline(always) func vec(_ index: Int, _ count: Int) -> Vec {
        if count >= lanes { return vec(index) }
        var result = Vec.zero
        for lane in 0..<count { result[lane] = self[index + lane] }
        return result
    }
}

extension UnsafeMutablePointer<Float> {
    /// The first `count` lanes from element `index`, the others zero. Reads nothing beyond them.
    @inline(always) func vec(_ index: Int, _ count: Int) -> Vec { UnsafePointer(self).vec(index, count) }

    /// Writes the first `count` lanes at element `index` and nothing beyond.
    @inline(always) func store(_ value: Vec, _ index: Int, _ count: Int) {
        if count >= lanes { return store(value, index) }
        for lane in 0..<count { self[index + lane] = value[lane] }
    }
}

/// Calls `body(index, width)` for `0..<count` in steps of one vector; only the last `width` may be less than `lanes`.
/// Two calls in the source, so that the full-width one is compiled without any test of the width; to have both inlined,
/// `body` must be a named function marked `@inline(always)`.
@inline(always) func forEachVector(_ count: Int, _ body: (_ index: Int, _ width: Int) -> Void) {
    var index = 0
    while index + lanes <= count {
        body(index, lanes)
        index += lanes
    }
    if index < count { body(index, count - index) }
}

@inline(always) func larger(_ a: Vec, _ b: Vec) -> Vec { a.replacing(with: b, where: a .< b) }
@inline(always) func smaller(_ a: Vec, _ b: Vec) -> Vec { a.replacing(with: b, where: a .> b) }

/// The sum of all lanes, by halves (`Vec.sum()` adds one lane after the other).
@inline(always) func horizontalSum(_ v: Vec) -> Float {
    #if LVO_AVX512
    let eight = v.lowHalf + v.highHalf
    let four = eight.lowHalf + eight.highHalf
    #elseif LVO_AVX2
    let four = v.lowHalf + v.highHalf
    #else
    let four = v
    #endif
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
}

extension Vec {
    /// The lanes from `count` on set to zero.
    @inline(always) func firstLanes(_ count: Int) -> Vec {
        if count >= Vec.scalarCount { return self }
        var result = self
        for lane in count..<Vec.scalarCount { result[lane] = 0 }
        return result
    }
}
