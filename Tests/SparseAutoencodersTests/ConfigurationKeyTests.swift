import Files
import Foundation
import SparseAutoencoders
import TestSupport
import Testing

/// Every key of every format is fed to its reader with a value that it cannot overlook.
@Suite struct ConfigurationKeyTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let fixture: String
        /// The file and, below it, the object that holds the keys.
        let file: String
        let member: String?
        let key: ConfigurationKey
        var testDescription: String { "\(fixture) \(key.name)" }
    }

    static let cases =
        ConfigurationKey.sparsify.map {
            Case(fixture: "sae_folder/unet.up_blocks.1.attentions.1", file: "cfg.json", member: nil, key: $0)
        } + ConfigurationKey.saeLens.map { Case(fixture: "peers/sl_v6_topk_norm", file: "cfg.json", member: nil, key: $0) }
        + ConfigurationKey.dictionaryLearning.map {
            Case(fixture: "peers/dl_matryoshka", file: "config.json", member: "trainer", key: $0)
        }

    /// What a reader makes of a folder in which a key has a value; the fixture's own value if that is nil.
    private func read(_ test: Case, _ key: String, _ value: JSON?) throws -> (SAEConfiguration, [[Float]]) {
        let temporary = try TemporaryFolder()
        let folder = temporary.file("sae")
        try FileManager.default.copyItem(atPath: fixture(test.fixture), toPath: folder)
        if let value {
            var whole = try JSON.read("\(folder)/\(test.file)").object ?? JSONObject()
            if let member = test.member {
                var inner = whole[member]?.object ?? JSONObject()
                inner[key] = value
                whole[member] = .object(inner)
            } else {
                whole[key] = value
            }
            try JSON.object(whole).write(to: "\(folder)/\(test.file)", overwrite: true)
        }
        let autoencoder = try SparseAutoencoder(folder: folder)
        return (autoencoder.configuration, autoencoder.parameters.map(\.tensor.array))
    }

    @Test(arguments: cases) func keyIsTreatedAsItsTableSays(test: Case) throws {
        let plain = try read(test, test.key.name, nil)
        let odd: JSON = ["odd": 3]
        switch test.key.treatment {
        case .harmless:
            for value in [odd, true, "x", 7] { #expect(try read(test, test.key.name, value) == plain) }
        case .refused:
            for value in [odd, true, "hook_z"] {
                #expect { try read(test, test.key.name, value) } throws: { "\($0)".contains("\(test.key.name): expected") }
            }
            for value in test.key.accepted + [.null] { #expect(try read(test, test.key.name, value) == plain) }
        case .used:
            // One of these is neither the fixture's value nor its default.
            let changed = [odd, true, false, 3].contains { value in
                guard let read = try? read(test, test.key.name, value) else { return true }
                return read != plain
            }
            #expect(changed)
        }
    }

    @Test(arguments: [cases[0], cases[20], cases[cases.count - 1]]) func unknownKeyIsRefusedByName(test: Case) throws {
        #expect { try read(test, "new_option", true) } throws: { "\($0)".contains("new_option") }
    }

    @Test(arguments: ["expected_average_only_in", "constant_norm_rescale", true] as [JSON])
    func normalisationThatIsNotInTheWeightsIsRefused(value: JSON) throws {
        let test = try #require(Self.cases.first { $0.fixture == "peers/sl_v6_topk_norm" })
        #expect { try read(test, "normalize_activations", value) } throws: { "\($0)".contains("normalize_activations") }
        #expect(try read(test, "normalize_activations", "none") == read(test, "normalize_activations", false))
    }

    @Test func documentHasTheTables() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/models.md")
        #expect(try String(contentsOf: root, encoding: .utf8).contains(ConfigurationKey.autoencoders))
    }
}
