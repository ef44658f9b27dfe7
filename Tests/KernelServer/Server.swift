// Answers calls of kernels: the tests' remote table (`Tests/KernelsTests/Remote`) sends an entry's number and its
// arguments, this program for another CPU computes. main.c moves the bytes.
import KernelInterface
import Kernels

extension AttentionHead: Argument {
    static func read(_ arguments: inout Arguments) -> AttentionHead {
        AttentionHead(
            width: .read(&arguments), queryStride: .read(&arguments), keyStride: .read(&arguments),
            scale: .read(&arguments), causal: .read(&arguments))
    }
}

extension AdamStep: Argument {
    static func read(_ arguments: inout Arguments) -> AdamStep {
        AdamStep(
            beta1: .read(&arguments), beta2: .read(&arguments), epsilon: .read(&arguments), size: .read(&arguments),
            rootScale: .read(&arguments))
    }
}

/// Calls the kernel of an entry.
/// - Returns: what it returns, as a word; −1 for an entry that does not exist.
@_cdecl("lvo_answer")
public func answer(
    _ entry: Int64, _ words: UnsafePointer<Int64>, _ regions: UnsafePointer<UnsafeMutableRawPointer?>
) -> Int64 {
    guard let entry = KernelEntry(rawValue: Int(entry)) else { return -1 }
    var arguments = Arguments(words: words, regions: regions)
    return arguments.call(entry, of: makeKernelTable()) ?? 0
}

/// Whether the program would choose the kernels that need bfloat16 instructions here.
@_cdecl("lvo_has_bfloat16")
public func hasBFloat16() -> Bool { ArmFeatures.hasBFloat16 }
