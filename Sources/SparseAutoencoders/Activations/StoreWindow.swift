import Files

/// The files that are being read together, and the order of their tokens.
struct StoreWindow {
    /// Windows count on from epoch to epoch.
    let number: Int
    /// The place of the first group in all that is read.
    let first: Int
    /// Groups: tokens that are read together.
    let count: Int
    /// By their number in the row.
    let files: [Int: ActivationFile]
    private let row: [(file: ActivationFile, start: Int)]
    private let permutation: IndexPermutation
    private let group: Int

    init(number: Int, first: Int, files: [Int: ActivationFile], group: Int, order: ReadingOrder) {
        (self.number, self.first, self.files, self.group) = (number, first, files, group)
        var start = 0
        row = files.sorted { $0.key < $1.key }.map { _, file in
            defer { start += file.tokens }
            return (file, start)
        }
        count = start / group
        permutation = order.tokens(of: number, count: count)
    }

    /// Where the next window begins.
    var end: Int { first + count }

    /// The file and first token of the group at a place of all that is read.
    func locate(_ place: Int) -> (file: ActivationFile, token: Int) {
        let token = permutation(place - first) * group
        var (low, high) = (0, row.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if row[middle].start <= token { low = middle } else { high = middle - 1 }
        }
        return (row[low].file, token - row[low].start)
    }
}
