import Parallel

/// Memory of this process and this machine.
enum SystemMemory {
    /// Peak resident memory of this process in bytes; nil where /proc does not tell.
    static var peak: Int? { Machine.peakMemory }

    /// Bytes that may still be taken without swapping, within the limits of the control groups; nil if unknown.
    static var available: Int? { Machine().availableMemory }
}
