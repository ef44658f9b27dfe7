import Ops
import Tensors

/// Uninitialized memory for numbers of any kind, from the engine's workspace, to which it returns with its last user.
struct Scratch<Element: BitwiseCopyable>: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int
    let storage: Storage

    init(_ count: Int, _ engine: Engine) {
        self.count = count
        storage = engine.workspace.take((max(count, 1) * MemoryLayout<Element>.stride + 3) / 4)
        pointer = UnsafeMutableRawPointer(storage.pointer).bindMemory(to: Element.self, capacity: max(count, 1))
    }

    init(_ count: Int, repeating value: Element, _ engine: Engine) {
        self.init(count, engine)
        pointer.update(repeating: value, count: count)
    }
}
