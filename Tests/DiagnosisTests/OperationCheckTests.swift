import Diagnosis
import Files
import Ops
import Tensors
import Testing

@Suite struct OperationCheckTests {
    @Test(arguments: Precision.allCases)
    func everyOperationIsRightOnEveryInstructionSet(_ precision: Precision) throws {
        let checks = OperationCheck.all(in: precision)
        #expect(checks.count > 25 && checks.allSatisfy { $0.expected.contains { $0 != 0 } })
        for set in InstructionSet.supported {
            let engine = try Engine(instructionSet: set, threads: 2, precision: precision)
            for check in checks {
                let result = check.result(engine)
                #expect(result.isRight, "\(set) \(precision): \(result)")
            }
        }
    }

    @Test func wrongMissingAndUndefinedNumbersAreFound() throws {
        let engine = try Engine(threads: 1)
        let expected = [1.0, 2, 3]
        for values: [Float] in [[1, 2, 3.001], [1, 2], [1, .nan, 3], [-1, -2, -3], []] {
            let check = OperationCheck("made up", bound: 1e-6, expected: expected) { _ in values }
            #expect(!check.result(engine).isRight, "\(values)")
        }
        #expect(OperationCheck("made up", bound: 1e-6, expected: expected) { _ in [1, 2, 3] }.result(engine).isRight)
    }
}
