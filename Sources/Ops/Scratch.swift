import Tensors

/// Uninitialized memory for numbers of any kind, from the engine's workspace, to which it returns with its last user.
package struct Scratch<Element: BitwiseCopyable>: @unchecked Sendable {
    package let pointer: UnsafeMutablePointer<Element>
    package let count: Int
    package let storage: Storage

    // Inlinable: unspecialized, every allocation and fill would go through the element's witness table.
    @inlinable package init(_ count: Int, _ engine: Engine) {
        self.count = count
        storage = engine.workspace.take((max(count, 1) * MemoryLayout<Element>.stride + 3) / 4)
        pointer = UnsafeMutableRawPointer(storage.pointer).bindMemory(to: Element.self, capacity: max(count, 1))
    }

    @inlinable package init(_ count: Int, repeating value: Element, _ engine: Engine) {
        self.init(count, engine)
        pointer.update(repeating: value, count: count)
    }
}
