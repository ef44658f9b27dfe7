import Tensors

/// In which order the tokens of a row of files are read.
///
/// An epoch goes window by window: the first `window` files, the next, …, and within a window all tokens in random order.
/// The first epoch takes the files in their order, so that it can follow who writes them; later ones in a random order of
/// files. With a window of all files every epoch is one random order of everything.
struct ReadingOrder: Sendable {
    let files: Int
    let window: Int
    let seed: UInt64

    init(files: Int, window: Int?, seed: UInt64) {
        (self.files, self.seed) = (files, seed)
        self.window = min(window ?? files, files)
    }

    /// Whether a window is everything.
    var isWhole: Bool { window == files }

    var windowsPerEpoch: Int { (files + window - 1) / window }

    /// The files of a window, ascending. Windows count on from epoch to epoch.
    func files(of number: Int) -> [Int] {
        let (epoch, place) = number.quotientAndRemainder(dividingBy: windowsPerEpoch)
        let range = place * window..<min(files, (place + 1) * window)
        if epoch == 0 || isWhole { return Array(range) }
        let order = IndexPermutation(count: files, seed: seed, unit: 1 << 63 | UInt64(epoch))
        return range.map { order($0) }.sorted()
    }

    /// The order of the `count` tokens, or of groups of them, in a window.
    func tokens(of number: Int, count: Int) -> IndexPermutation {
        let (epoch, place) = number.quotientAndRemainder(dividingBy: windowsPerEpoch)
        return IndexPermutation(count: count, seed: seed, unit: UInt64(place) << 32 | UInt64(epoch))
    }
}
