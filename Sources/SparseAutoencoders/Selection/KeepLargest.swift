/// Rearranges `keys[0..<count]` so that the `keep` largest come first, and returns the least of these.
/// Quickselect with the median of three as pivot; keys are distinct.
func keepLargest(_ keys: UnsafeMutablePointer<UInt64>, _ count: Int, _ keep: Int) -> UInt64 {
    precondition(0 < keep && keep <= count, "keep \(keep) of \(count)")
    var (low, high) = (0, count - 1)
    let target = keep - 1
    while low < high {
        let pivot = medianOfThree(keys[low], keys[(low + high) / 2], keys[high])
        var (i, j) = (low, high)
        while i <= j {
            while keys[i] > pivot { i += 1 }
            while keys[j] < pivot { j -= 1 }
            if i <= j {
                (keys[i], keys[j]) = (keys[j], keys[i])
                i += 1
                j -= 1
            }
        }
        if target <= j {
            high = j
        } else if target >= i {
            low = i
        } else {
            break
        }
    }
    return keys[target]
}

private func medianOfThree(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
    max(min(a, b), min(max(a, b), c))
}
