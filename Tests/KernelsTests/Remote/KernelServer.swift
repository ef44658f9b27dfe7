import Foundation
import Testing

/// What a remote kernel is called with: numbers, and memory that it reads or writes.
enum RemoteArgument {
    case word(Int64)
    /// `bytes` of memory from `base`; the kernel is given the address `offset` bytes further.
    case memory(base: UnsafeMutableRawPointer, bytes: Int, offset: Int, isOutput: Bool)

    static func int(_ value: some BinaryInteger) -> Self { .word(Int64(truncatingIfNeeded: value)) }
    static func bool(_ value: Bool) -> Self { .word(value ? 1 : 0) }
    static func float(_ value: Float) -> Self { .word(Int64(value.bitPattern)) }

    /// `count` elements that the kernel does not change.
    static func input<T>(_ pointer: UnsafePointer<T>?, _ count: Int) -> Self {
        memory(UnsafeMutablePointer(mutating: pointer), 0, count, isOutput: false)
    }

    /// Elements from `first` (not positive), before what the pointer points to, to `end`.
    static func input<T>(_ pointer: UnsafePointer<T>, from first: Int, to end: Int) -> Self {
        memory(UnsafeMutablePointer(mutating: pointer), first, end - first, isOutput: false)
    }

    /// `count` elements that the kernel may change.
    static func output<T>(_ pointer: UnsafeMutablePointer<T>?, _ count: Int) -> Self {
        memory(pointer, 0, count, isOutput: true)
    }

    private static func memory<T>(_ pointer: UnsafeMutablePointer<T>?, _ first: Int, _ count: Int, isOutput: Bool) -> Self {
        let size = MemoryLayout<T>.size
        guard let pointer else { return .memory(base: .init(bitPattern: 1)!, bytes: -1, offset: 0, isOutput: false) }
        return .memory(base: pointer + first, bytes: count * size, offset: -first * size, isOutput: isOutput)
    }
}

/// A program for another CPU that computes kernels (`Tests/KernelServer`), reached through two named pipes, `calls` and
/// `answers`, in the folder that LVO_KERNEL_SERVER names. It puts every piece of memory between guards of its own.
final class KernelServer: @unchecked Sendable {
    /// The server to test in place of the kernels of this CPU.
    static let shared: KernelServer? = ProcessInfo.processInfo.environment["LVO_KERNEL_SERVER"].map { KernelServer($0) }

    private let calls, answers: UnsafeMutablePointer<FILE>?
    private let lock = NSLock()

    private init(_ folder: String) {
        signal(SIGPIPE, SIG_IGN)
        calls = fopen(folder + "/calls", "w")
        answers = fopen(folder + "/answers", "r")
    }

    /// Memory that goes there and back.
    private struct Region {
        let base: UnsafeMutableRawPointer
        var bytes: Int
        var isOutput: Bool
    }

    /// Calls a kernel there: memory that it may change is changed here. Records an issue if it changes any other.
    /// - Returns: its result, of a number the bits.
    @discardableResult func call(_ entry: KernelEntry, _ arguments: [RemoteArgument]) -> Int64 {
        var (words, regions): ([Int64], [Region]) = ([], [])
        for argument in arguments {
            switch argument {
            case .word(let word): words.append(word)
            case .memory(_, bytes: -1, _, _): words += [-1, 0]
            case .memory(let base, let bytes, let offset, let isOutput):
                let index = regions.firstIndex { $0.base == base } ?? regions.count
                if index == regions.count { regions.append(Region(base: base, bytes: 0, isOutput: false)) }
                regions[index].bytes = max(regions[index].bytes, bytes)
                regions[index].isOutput = regions[index].isOutput || isOutput
                words += [Int64(index), Int64(offset)]
            }
        }
        return lock.withLock {
            send([Int64(entry.rawValue), Int64(words.count), Int64(regions.count)] + words, regions)
            return receive(entry, regions)
        }
    }

    private func send(_ words: [Int64], _ regions: [Region]) {
        guard let calls else { return }
        let shapes = regions.flatMap { [Int64($0.bytes), Int64(UInt(bitPattern: $0.base) % 64)] }
        (words + shapes).withUnsafeBytes { _ = fwrite($0.baseAddress!, 1, $0.count, calls) }
        for region in regions { fwrite(region.base, 1, region.bytes, calls) }
        fflush(calls)
    }

    private func receive(_ entry: KernelEntry, _ regions: [Region]) -> Int64 {
        func read(_ bytes: Int) -> [UInt8]? {
            var result = [UInt8](repeating: 0, count: bytes)
            guard let answers else { return nil }
            return fread(&result, 1, bytes, answers) == bytes ? result : nil
        }
        guard let head = read(16) else {
            Issue.record("\(entry): the kernel server gave no answer")
            return 0
        }
        let (result, damaged) = head.withUnsafeBytes { ($0.load(as: Int64.self), $0.load(fromByteOffset: 8, as: Int64.self)) }
        if damaged > 0 { Issue.record("\(entry): wrote beside its memory no. \(damaged)") }
        for (index, region) in regions.enumerated() {
            guard let bytes = read(region.bytes) else {
                Issue.record("\(entry): the kernel server's answer ends too early")
                return 0
            }
            if region.isOutput {
                region.base.copyMemory(from: bytes, byteCount: bytes.count)
            } else if bytes.count > 0 && memcmp(region.base, bytes, bytes.count) != 0 {
                Issue.record("\(entry): changed its input no. \(index + 1)")
            }
        }
        return result
    }
}
