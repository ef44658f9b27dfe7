import Experiments
import Files
import Testing
import Visualization

@Suite struct ParameterTests {
    @Test func settingsAreChecked() throws {
        func refused(_ change: (inout DreamSettings) throws -> Void) -> Bool {
            var settings = DreamSettings(.raw)
            do {
                try change(&settings)
                try settings.validate()
                return false
            } catch { return (error as? SimpleFailure)?.kind == .usage }
        }
        try DreamSettings(.raw).validate()
        try DreamSettings(.sae).validate()
        #expect(refused { $0.steps = 0 })
        #expect(refused { $0.noiseDraws = 0 })
        #expect(refused { $0.learningRate = -1 })
        #expect(refused { $0.learningRate = .nan })
        #expect(refused { $0.scale = 0.5 })
        #expect(refused { $0.rotate = -5 })
        #expect(refused { $0.penalties.moment = .infinity })
        #expect(refused { try $0.setRobustness(4) })
        #expect(refused { $0.where = .peak(sharpness: .nan) })
        #expect(refused { $0.where = .position(x: -1, y: 0) })
        #expect(refused {
            $0.diversity = 1
            $0.coupling = .independent
        })
    }

    @Test func everyParameterIsWrittenAndReadBack() throws {
        var settings = DreamSettings(.tuned)
        (settings.steps, settings.penalties.rangeThreshold, settings.spectralFilter) = (7, 2.5, false)
        let json = settings.json
        #expect(json.object?.keys == DreamParameters.all.map(\.key))
        #expect(try DreamSettings(json) == settings)
        #expect(json.serialized().contains("\"range_threshold\":2.5"))
    }

    /// A field that no row holds would stay as it is here.
    @Test func theTableHoldsEverySetting() throws {
        var changed = DreamSettings()
        for row in DreamParameters.all {
            let other: JSON = switch row.kind {
            case .flag: .bool(row.value(in: changed).bool == false)
            case .choice(let names): .string(names.last ?? "")
            case .integer: 3
            case .number, .positive: 9.5
            case .location: "peak:9.5"
            }
            try row.assign(other, to: &changed)
        }
        func leaves(_ value: Any) -> [String] {
            let children = Mirror(reflecting: value).children
            return children.isEmpty ? ["\(value)"] : children.flatMap { leaves($0.value) }
        }
        let (before, after) = (leaves(DreamSettings()), leaves(changed))
        #expect(before.count == DreamParameters.all.count && after.count == before.count)
        #expect(zip(before, after).allSatisfy { $0 != $1 })
    }

    @Test func refusalsNameTheRow() throws {
        for row in DreamParameters.all {
            var settings = DreamSettings()
            let failure = #expect(throws: SimpleFailure.self) { try row.assign(.null, to: &settings) }
            #expect(failure?.description == "\(row.key): expected \(row.expected), found null")
        }
    }

    @Test func argumentsAreTheOptionsNames() {
        let words = DreamParameters.all.flatMap { $0.arguments(DreamSettings(.raw)) }
        #expect(words.starts(with: ["--steps", "100", "--learning-rate", "0.05", "--total-variation", "0.5"]))
        #expect(words.contains("--spectral-filter") && words.suffix(2) == ["--redraw-draws", "4"])
    }
}
