import Parallel
import TestSupport
import Testing

/// Which cores processes side by side get.
@Suite struct CoreGroupTests {
    /// A machine of two domains with interleaved numbers, hyper-threads, and `cores` physical cores.
    private func machine(_ cores: Int) throws -> Machine {
        var recorded = RecordedMachine(testDescription: "two domains")
        let all = "0-\(2 * cores - 1)"
        try recorded.topology(online: all, mask: all) { "\($0 % cores),\($0 % cores + cores)" }
        recorded.files["/sys/devices/system/node/online"] = "0-1"
        for node in 0...1 {
            let cpus = (0..<2 * cores).filter { $0 % 2 == node }.map(String.init)
            recorded.files["/sys/devices/system/node/node\(node)/cpulist"] = cpus.joined(separator: ",")
        }
        let folder = try TemporaryFolder()
        return try withExtendedLifetime(folder) { try Machine(recorded.written(to: folder)) }
    }

    private func numbers(_ groups: [CoreGroup]) -> [[Int]] { groups.map { $0.cores.map { $0[0] } } }

    @Test func groupsStayWithinADomain() throws {
        let machine = try machine(8)
        #expect(numbers(machine.coreGroups(largest: 16, limit: 8)) == [[0, 2, 4, 6], [1, 3, 5, 7]])
        #expect(numbers(machine.coreGroups(largest: 3, limit: 8)) == [[0, 2], [4, 6], [1, 3], [5, 7]])
        #expect(numbers(machine.coreGroups(largest: 16, limit: 3)) == [[0, 2, 4]], "a quota of three")
        #expect(machine.coreGroups(largest: 2, limit: 8)[0].cpus == [0, 8, 2, 10])
    }

    @Test func anyNumberOfGroupsIsGiven() throws {
        let machine = try machine(4)
        #expect(numbers(machine.coreGroups(count: 1, limit: 4)) == [[0, 2, 1, 3]])
        #expect(numbers(machine.coreGroups(count: 2, limit: 4)) == [[0, 2], [1, 3]])
        #expect(numbers(machine.coreGroups(count: 3, limit: 4)) == [[0], [2], [1, 3]])
        #expect(numbers(machine.coreGroups(count: 6, limit: 4)) == [[0], [0], [2], [1], [1], [3]])
        #expect(numbers(machine.coreGroups(count: 2, limit: 1)) == [[0], [0]])
    }
}
