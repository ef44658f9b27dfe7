import Parallel
import Pictures
import Tensors

/// What the machine is, as far as it changes how fast or whether `lvo` runs.
package struct HostFacts: Sendable {
    /// The processor's own name.
    let processor: String
    /// What the kernel says that the processor can do.
    let flags: Set<Substring>
    let machine: Machine
    let threads: ThreadCount
    /// `always`, `madvise` or `never`; nil where the system has none.
    let hugePagesMode: String?
    /// Share of a touched block of 64 MB that the system gave huge pages for.
    let hugePagesShare: Double?

    /// - Parameter environment: the process's, for `LVO_THREADS`.
    package init(environment: [String: String], tree: SystemTree = SystemTree()) {
        let name = ["model name", "CPU part", "Model"].lazy.compactMap { tree.value(after: $0, in: "/proc/cpuinfo") }.first
        processor = Self.afterColon(name) ?? "unknown"
        let flags = ["flags", "Features"].lazy.compactMap { tree.value(after: $0, in: "/proc/cpuinfo") }.first
        self.flags = Set((Self.afterColon(flags) ?? "").split(separator: " "))
        machine = Machine(tree)
        threads = ThreadCount.detect(environment: environment, machine: machine)
        let modes = tree.text("/sys/kernel/mm/transparent_hugepage/enabled")
        hugePagesMode = modes?.split(separator: " ").first { $0.hasPrefix("[") }.map { String($0.dropFirst().dropLast()) }
        hugePagesShare = Self.shareOfHugePages(tree)
    }

    private static func afterColon(_ text: Substring?) -> String? {
        text.map { String($0.drop { $0 == ":" || $0.isWhitespace }) }
    }

    private static func shareOfHugePages(_ tree: SystemTree) -> Double? {
        func hugeBytes() -> Int? {
            let text = tree.value(after: "AnonHugePages:", in: "/proc/self/smaps_rollup")?.prefix { $0.isNumber }
            return text.flatMap { Int($0) }.map { $0 * 1024 }
        }
        guard let before = hugeBytes() else { return nil }
        let block = Tensor.zeros([64 << 18])
        guard let after = hugeBytes() else { return nil }
        return min(1, max(0, Double(after - before) / Double(block.count * 4)))
    }

    /// Whether a picture and its text come back from a PNG as they were; the picture encoder is the system's libpng.
    /// - Throws: what the encoder throws.
    static func pictureComesBack() throws -> Bool {
        let pixels = (0..<31 * 17 * 3).map { UInt8(truncatingIfNeeded: $0 &* 37 ^ $0 >> 3) }
        let bitmap = Bitmap(width: 31, height: 17, pixels: pixels)
        let text = [PNGText("lvo", "doctor")]
        let bytes = try PNG.encode(bitmap, text: text)
        return try PNG.decode(bytes, name: "a picture in memory") == bitmap
            && PNG.text(in: bytes, name: "a picture in memory").contains(text[0])
    }
}
