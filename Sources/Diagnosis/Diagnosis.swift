import Files
import Foundation
import Ops

/// Whether this machine computes right, how, and what would be faster: everything that `lvo doctor` finds.
///
/// Every instruction set that the CPU offers is taken through every operation in both precisions, beside the slow twins,
/// and through a gradient of the embedded model that PyTorch computed.
public struct Diagnosis: Sendable {
    let host: HostFacts
    /// `LVO_ISA`, if it is set.
    let forcedSet: String?
    package let operations: [OperationCheck.Result]
    let gradients: [StoredGradient.Result]
    let tiles: [TileSpeed]
    let threads: ThreadSpeed
    let pictureComesBack: Bool

    /// What was found elsewhere.
    package init(
        host: HostFacts, forcedSet: String? = nil, operations: [OperationCheck.Result] = [],
        gradients: [StoredGradient.Result] = [], tiles: [TileSpeed] = [], threads: ThreadSpeed, pictureComesBack: Bool = true
    ) {
        (self.host, self.forcedSet, self.operations, self.gradients) = (host, forcedSet, operations, gradients)
        (self.tiles, self.threads, self.pictureComesBack) = (tiles, threads, pictureComesBack)
    }

    /// Measures and checks; takes some ten seconds of all cores.
    ///
    /// - Parameters:
    ///   - environment: the process's: `LVO_THREADS` and `LVO_ISA` count as they do for every command.
    ///   - progress: is told what was found about each instruction set, as it is found.
    /// - Throws: a `Failure` if a file of the program is not beside it, or `LVO_ISA` names what this CPU lacks.
    public init(environment: [String: String], progress: (String) -> Void) throws {
        host = HostFacts(environment: environment)
        forcedSet = environment["LVO_ISA"]
        let count = host.threads.count
        let stored = try StoredGradient()
        let checks = Dictionary(uniqueKeysWithValues: Precision.allCases.map { ($0, OperationCheck.all(in: $0)) })
        var operations: [OperationCheck.Result] = []
        var gradients: [StoredGradient.Result] = []
        var tiles: [TileSpeed] = []
        for set in InstructionSet.supported {
            for precision in Precision.allCases {
                let engine = try Engine(instructionSet: set, threads: count, precision: precision)
                let results = (checks[precision] ?? []).map { $0.result(engine) }
                let gradient = try stored.result(instructionSet: set, precision: precision, threads: count)
                let tile = try TileSpeed(instructionSet: set, precision: precision)
                operations += results
                gradients.append(gradient)
                tiles.append(tile)
                progress(Self.line(results, gradient, tile, isNative: engine.computesNatively))
            }
        }
        (self.operations, self.gradients, self.tiles) = (operations, gradients, tiles)
        threads = ThreadSpeed(try Engine(instructionSet: forcedSet, threads: count))
        pictureComesBack = try HostFacts.pictureComesBack()
    }

    /// Whether everything computes right.
    public var isSound: Bool {
        operations.allSatisfy(\.isRight) && gradients.allSatisfy(\.isRight) && pictureComesBack
    }

    /// The set that commands use.
    var usedSet: String { forcedSet ?? InstructionSet.supported[0] }

    private static func line(
        _ results: [OperationCheck.Result], _ gradient: StoredGradient.Result, _ tile: TileSpeed, isNative: Bool
    ) -> String {
        let right = results.count(where: \.isRight)
        let operations = right == results.count ? "\(right) operations right" : "\(results.count - right) operations WRONG"
        return [
            gradient.instructionSet.padded(to: 11), gradient.precision.rawValue.padded(to: 5), operations,
            "gradient \(gradient.isRight ? "right" : "WRONG") (\(gradient.gradientError.short))",
            "\(Int(tile.gflops.rounded())) GFLOP/s a thread" + (isNative ? "" : ", by other instructions"),
        ].joined(separator: "  ")
    }
}

extension Engine {
    /// Whether the CPU has instructions of its own for this precision.
    var computesNatively: Bool { precision == .float32 || kernels.bfloat16.isNative }
}

extension String {
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Double {
    /// Two significant digits: `1.3e-06`.
    var short: String { isFinite ? String(format: "%.1e", self) : "not a number" }
}
