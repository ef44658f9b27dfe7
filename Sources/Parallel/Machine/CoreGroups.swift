/// Cores that one process of several has for itself.
public struct CoreGroup: Sendable, Equatable {
    /// Each core with its CPUs.
    public let cores: [[Int]]
    /// All their CPUs.
    public var cpus: [Int] { cores.flatMap(\.self) }
}

extension Machine {
    /// Groups of at most `largest` cores of one memory domain each, as even as a domain allows.
    ///
    /// - Parameter limit: cores in all, of the first domains.
    public func coreGroups(largest: Int, limit: Int) -> [CoreGroup] {
        coresByDomain(limit).flatMap { Self.split($0, into: max(1, ($0.count + largest - 1) / largest)) }
    }

    /// `count` groups of neighbouring cores, domain after domain; with more groups than cores, several have the same.
    ///
    /// - Parameter limit: as above.
    public func coreGroups(count: Int, limit: Int) -> [CoreGroup] {
        Self.split(coresByDomain(limit).flatMap(\.self), into: count)
    }

    private static func split(_ cores: [[Int]], into count: Int) -> [CoreGroup] {
        (0..<count).map { index in
            let (first, end) = (index * cores.count / count, (index + 1) * cores.count / count)
            return CoreGroup(cores: Array(cores[first..<max(first + 1, end)]))
        }
    }

    private func coresByDomain(_ limit: Int) -> [[[Int]]] {
        var left = max(1, limit)
        return domains.map { domain in
            let own = cores.filter { domain.cpus.contains($0[0]) }.prefix(left)
            left -= own.count
            return Array(own)
        }.filter { !$0.isEmpty }
    }
}
