/// Numbers of logical CPUs as the kernel writes them: `0-3,8,10-11`.
package enum CPUList {
    /// The numbers of a list; nil for text that is none. Empty text is the empty list.
    package static func parse(_ text: some StringProtocol) -> Set<Int>? {
        var numbers: Set<Int> = []
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends[0], let last = ends[ends.count - 1], ends.count <= 2, first >= 0, first <= last,
                last < 1 << 16
            else { return nil }
            numbers.formUnion(first...last)
        }
        return numbers
    }

    /// The list of some numbers, in the kernel's form.
    package static func text(_ numbers: some Sequence<Int>) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers.sorted() {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }
}
