import Files
import Ops
import StableDiffusion
import Tensors

/// Arguments as they come over the border: nothing about them is known.
enum Argument {
    /// Elements that any array may have: products with small numbers do not overflow.
    static let mostElements = 1 << 40

    /// - Throws: `Refusal` for NULL and for what is not UTF-8.
    static func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> String {
        guard let pointer else { throw Refusal("\(name): expected text, found NULL") }
        guard let text = String(validatingCString: pointer) else { throw Refusal("\(name): expected UTF-8, found other bytes") }
        return text
    }

    /// A shape of that many axes.
    ///
    /// - Parameter meaning: of the axes, for messages: `[B, C, h, w]`.
    static func shape(_ pointer: UnsafePointer<Int64>?, axes: Int, _ name: String, _ meaning: String) throws -> [Int] {
        guard let pointer else { throw Refusal("\(name): expected a shape \(meaning), found NULL") }
        try checkAlignment(pointer, name)
        let shape = (0..<axes).map { Int(pointer[$0]) }
        var count = 1
        for extent in shape {
            let (product, overflows) = count.multipliedReportingOverflow(by: extent)
            guard extent > 0, !overflows, product <= mostElements else {
                throw Refusal(
                    "\(name): expected a shape \(meaning) of positive numbers with at most 2^40 elements, found \(shape)")
            }
            count = product
        }
        return shape
    }

    /// A copy of the caller's numbers.
    static func tensor(_ pointer: UnsafePointer<Float>?, _ shape: [Int], _ name: String, in workspace: Workspace? = nil) throws
        -> Tensor
    {
        let source = try floats(pointer, name)
        let tensor = Tensor(shape, in: workspace)
        tensor.pointer.update(from: source, count: tensor.count)
        try checkFinite(source, shape, name)
        return tensor
    }

    static func floats(_ pointer: UnsafePointer<Float>?, _ name: String) throws -> UnsafePointer<Float> {
        guard let pointer else { throw Refusal("\(name): expected an array, found NULL") }
        try checkAlignment(pointer, name)
        return pointer
    }

    /// - Throws: `Refusal` naming the first NaN or infinity.
    static func checkFinite(_ numbers: UnsafePointer<Float>, _ shape: [Int], _ name: String, firstRow: Int = 0) throws {
        let (exponent, count) = (UInt32(0x7f80_0000), shape.reduce(1, *))
        var bad: UInt32 = 0
        for i in 0..<count { bad |= numbers[i].bitPattern & exponent == exponent ? 1 : 0 }
        guard bad != 0, let first = (0..<count).first(where: { !numbers[$0].isFinite }) else { return }
        var (rest, position) = (first, [Int]())
        for extent in shape.reversed() {
            position.insert(rest % extent, at: 0)
            rest /= extent
        }
        position[0] += firstRow
        throw Refusal("\(name): expected finite numbers, found \(numbers[first]) at \(position)")
    }

    /// A buffer for a result.
    static func output<Element>(
        _ pointer: UnsafeMutablePointer<Element>?, count: Int64, expected shape: [Int], _ name: String
    ) throws -> UnsafeMutablePointer<Element> {
        try check(count: count, expected: shape, name)
        guard let pointer else { throw Refusal("\(name): expected a buffer, found NULL") }
        try checkAlignment(pointer, name)
        return pointer
    }

    static func check(count: Int64, expected shape: [Int], _ name: String) throws {
        let expected = shape.reduce(1, *)
        guard count == Int64(expected) else {
            throw Refusal("\(name): expected \(expected) elements, \(shape), found \(count)")
        }
    }

    private static func checkAlignment<Element>(_ pointer: UnsafePointer<Element>, _ name: String) throws {
        guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Element>.alignment) == 0 else {
            throw Refusal("\(name): expected an address that is a multiple of \(MemoryLayout<Element>.alignment)")
        }
    }

    private static func checkAlignment<Element>(_ pointer: UnsafeMutablePointer<Element>, _ name: String) throws {
        try checkAlignment(UnsafePointer(pointer), name)
    }

    /// A place for something that is handed out; it holds NULL until then.
    static func place<Value>(_ pointer: UnsafeMutablePointer<Value?>?, _ name: String) throws -> UnsafeMutablePointer<Value?> {
        guard let pointer else { throw Refusal("\(name): expected a place for the result, found NULL") }
        pointer.pointee = nil
        return pointer
    }
}

/// How an activation lies in the caller's memory.
enum ActivationLayout: Int32 {
    case tokens, maps

    init(checking value: Int32) throws {
        guard let layout = Self(rawValue: value) else {
            throw Refusal("layout: expected LVO_TOKENS (0) or LVO_MAPS (1), found \(value)")
        }
        self = layout
    }

    /// Of an activation `[B, N, D]` on a map.
    func shape(_ tokens: [Int], _ map: (height: Int, width: Int)) -> [Int] {
        self == .tokens ? tokens : [tokens[0], tokens[2], map.height, map.width]
    }

    /// Writes an activation `[B, N, D]`.
    func write(_ activation: Tensor, to target: UnsafeMutablePointer<Float>, engine: Engine) {
        if self == .tokens { return target.update(from: activation.pointer, count: activation.count) }
        let (samples, rows, columns) = (activation.shape[0], activation.shape[1], activation.shape[2])
        Self.transpose(activation.pointer, target, samples, rows, columns, engine)
    }

    /// The caller's numbers as an activation of shape `[B, N, D]`.
    func read(_ source: UnsafePointer<Float>, _ shape: [Int], engine: Engine) -> Tensor {
        let result = Tensor(shape, in: engine.workspace)
        if self == .tokens {
            result.pointer.update(from: source, count: result.count)
        } else {
            Self.transpose(source, result.pointer, shape[0], shape[2], shape[1], engine)
        }
        return result
    }

    /// `[samples, rows, columns]` as `[samples, columns, rows]`, in squares that stay in cache.
    private static func transpose(
        _ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>, _ samples: Int, _ rows: Int, _ columns: Int,
        _ engine: Engine
    ) {
        let side = 32
        let bands = (columns + side - 1) / side
        nonisolated(unsafe) let (source, target) = (source, target)
        engine.threads.forEach(samples * bands) { task, _ in
            let (sample, first) = (task / bands * rows * columns, task % bands * side)
            for top in stride(from: 0, to: rows, by: side) {
                for column in first..<min(first + side, columns) {
                    for row in top..<min(top + side, rows) {
                        target[sample + column * rows + row] = source[sample + row * columns + column]
                    }
                }
            }
        }
    }
}
