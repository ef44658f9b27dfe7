import ArgumentParser
import Diagnosis
import Files
import Ops
import WorkUnits

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that this machine computes right, and tell what would make it faster.",
        discussion: """
            Takes every instruction set that the CPU offers through every operation in float32 and bfloat16, beside plain \
            twins in double precision, and through a gradient of the embedded model that PyTorch computed; looks at threads, \
            memory, huge pages and libpng. Prints what it finds and writes it as JSON. Exit code 0 if everything computes \
            right, 70 if not. Takes some seconds; with --bench some minutes more.
            """)

    @Flag(help: "Also measure kernels, the U-Net and a visualization step in each precision that this CPU has.")
    var bench = false

    @Option(
        help: ArgumentHelp("With --bench: model folder. Default: synthetic SD 1.5, made once in the cache.", valueName: "dir"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "JSON file to write; an older report there is replaced. Default: lvo-doctor-HOST.json.", valueName: "file"))
    var output: String?

    func validate() throws {
        if model != nil, !bench { throw ValidationError("--model goes with --bench") }
    }

    func run() throws {
        let path = output ?? "lvo-doctor-\(Host.name).json"
        try checkOutput(path)
        let diagnosis = try Diagnosis(environment: RuntimeOptions.environment) { print($0) }
        for finding in diagnosis.findings { print("\(finding.level.rawValue): \(finding.text)") }
        try write(diagnosis, nil, to: path)
        if bench, diagnosis.isSound { try write(diagnosis, benchmarks(), to: path) }
        print(diagnosis.isSound ? "everything computes right; \(path)" : "NOT everything computes right; \(path)")
        if !diagnosis.isSound { throw ExitCode(FailureKind.internalError.rawValue) }
    }

    /// Only a report of this command may be replaced.
    private func checkOutput(_ path: String) throws {
        do {
            try OutputCheck.file(path, overwrite: false)
        } catch .exists where (try? JSON.read(path))?["report"]?.string == Diagnosis.kind {
            try OutputCheck.file(path, overwrite: true)
        } catch .exists {
            throw FileFailure.cannotWrite(file: path, reason: "it is there and no report of lvo doctor; name another file")
        }
    }

    private func write(_ diagnosis: Diagnosis, _ benchmarks: [JSON]?, to path: String) throws {
        let report = diagnosis.json(host: Host.name, benchmarks: benchmarks)
        try OutputFile.write(report.serialized(pretty: true).utf8, to: path, overwrite: true)
    }

    private func benchmarks() throws -> [JSON] {
        let folder = model.map { ["--model", $0] } ?? []
        let precisions = try InstructionSet.fastestPrecision(of: RuntimeOptions.environment["LVO_ISA"]) == .bfloat16
            ? Precision.allCases : [.float32]
        return try precisions.flatMap { precision in
            let arguments = ["--repeats", "3", "--precision", precision.rawValue]
            return try BenchKernels.parse(arguments).measure().json
                + BenchUNet.parse(arguments + folder).measure().json + BenchStep.parse(arguments + folder).measure().json
        }
    }
}
