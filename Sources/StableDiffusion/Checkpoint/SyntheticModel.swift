import Checkpoints
import Files
import Tensors

/// A diffusers folder of Stable Diffusion 1.5's sizes with synthetic weights, written without ever holding more than
/// one block of a tensor.
package struct SyntheticModel: Sendable {
    package let dtype: DType
    package let salt: String

    /// - Parameter dtype: `f32` or `f16`.
    package init(dtype: DType, salt: String = "") {
        precondition(dtype == .f32 || dtype == .f16, "synthetic models are F32 or F16, not \(dtype.rawValue)")
        self.dtype = dtype
        self.salt = salt
    }

    /// Runs a number of independent tasks, on however many threads.
    package typealias Runner = (_ tasks: Int, _ body: @Sendable (_ task: Int) -> Void) -> Void

    private static let taskSize = 1 << 16
    private static let blockSize = 1 << 22

    /// Writes configurations and weights (no tokenizer, whose vocabulary is not made of numbers).
    package func write(to folder: String, overwrite: Bool, run: Runner) throws {
        for (name, json) in ModelFolderFiles.sd15 {
            try OutputFile.makeFolder(folder + "/" + (name.contains("/") ? String(name.prefix { $0 != "/" }) : ""))
            try json.write(to: "\(folder)/\(name)", overwrite: overwrite)
        }
        let manifests: [(ModelComponent, Manifest)] = [
            (.unet, UNetConfig.sd15.manifest), (.vae, VAEConfig.sd15.manifest),
            (.textEncoder, TextEncoderConfig.sd15.manifest),
        ]
        for (component, manifest) in manifests {
            let path = "\(folder)/\(component.rawValue)/\(component.weightsName).safetensors"
            try write(manifest, to: path, overwrite: overwrite, run: run)
        }
    }

    /// Writes one safetensors file with every tensor of `manifest`.
    package func write(_ manifest: Manifest, to path: String, overwrite: Bool, run: Runner) throws {
        let entries = manifest.tensors.map { SafetensorsWriter.Entry(name: $0.name, dtype: dtype, shape: $0.shape) }
        let largest = entries.map(\.count).max() ?? 0
        let block = Block(byteCount: min(Self.blockSize, largest) * dtype.byteWidth)
        try SafetensorsWriter.stream(
            entries, metadata: ["format": "pt"], to: path, overwrite: overwrite
        ) { entry, sink in
            let values = SyntheticWeights(name: entry.name, shape: entry.shape, salt: salt)
            for start in stride(from: 0, to: entry.count, by: Self.blockSize) {
                let range = start..<min(entry.count, start + Self.blockSize)
                fill(block, values, range, run: run)
                try sink(UnsafeRawBufferPointer(start: block.pointer, count: range.count * dtype.byteWidth))
            }
        }
    }

    private func fill(_ block: Block, _ values: SyntheticWeights, _ range: Range<Int>, run: Runner) {
        run((range.count + Self.taskSize - 1) / Self.taskSize) { task in
            let first = task * Self.taskSize
            let part = range.lowerBound + first..<min(range.upperBound, range.lowerBound + first + Self.taskSize)
            let target = block.pointer + first * dtype.byteWidth
            if dtype == .f16 {
                values.fillHalf(part, into: target.assumingMemoryBound(to: UInt16.self))
            } else {
                values.fill(part, into: target.assumingMemoryBound(to: Float.self))
            }
        }
    }

    /// Memory that tasks fill in disjoint parts.
    private final class Block: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer

        init(byteCount: Int) {
            pointer = .allocate(byteCount: max(byteCount, 1), alignment: 64)
        }

        deinit {
            pointer.deallocate()
        }
    }
}
