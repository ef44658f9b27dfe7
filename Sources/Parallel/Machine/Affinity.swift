import CThreads

/// The CPUs that threads may run on.
package enum Affinity {
    /// Lets the calling thread, and threads and processes that it starts from now on, run only on these CPUs. Only a wish: a
    /// system that refuses changes no result.
    package static func limit(to cpus: some Sequence<Int>) {
        var mask: [UInt] = []
        for cpu in cpus {
            let word = cpu / UInt.bitWidth
            if word >= mask.count { mask += [UInt](repeating: 0, count: word + 1 - mask.count) }
            mask[word] |= 1 << UInt(cpu % UInt.bitWidth)
        }
        _ = pin_this_thread(mask, UInt(mask.count * MemoryLayout<UInt>.size))
    }

    /// Sends this process a signal when the one that started it ends.
    package static func followParent(signal: Int32) { _ = signal_at_end_of_parent(signal) }
}
