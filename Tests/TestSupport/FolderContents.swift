import Foundation
import Synchronization
import Testing

/// How often each number came.
public final class Tally: Sendable {
    private let counts = Mutex<[Int: Int]>([:])
    public init() {}

    public var values: [Int: Int] { counts.withLock { $0 } }
    public func reset() { counts.withLock { $0 = [:] } }
    public func add(_ number: Int) { counts.withLock { $0[number, default: 0] += 1 } }
}

/// Every file of a folder with its bytes, the log of times apart.
public func contents(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for case let name as String in try #require(FileManager.default.enumerator(atPath: folder))
    where !name.hasPrefix("log") {
        let path = folder + "/" + name
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else { continue }
        files[name] = try Data(contentsOf: URL(fileURLWithPath: path))
    }
    return files
}
