import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing
import Visualization
import WorkUnits

import Studies

/// Whether a dream excites what another seed's autoencoder has found in its feature's place.
@Suite struct SecondAutoencoderTests {
    private func measures(_ study: Study, _ subject: Subject) throws -> JSON {
        try JSON.read("\(study.folder)/measure/\(subject.path)/t0000/measures.json")
    }

    @Test func theMatchIsMeasuredBesideOthers() throws {
        let folder = try TemporaryFolder()
        let second = "measure.second_sae=other"
        let study = try toyStudy(folder.path, overrides: ["layers=[layer.a]", second, "measure.second_cosine=0"])
        try runAll(study)
        for subject in try study.subjects() {
            let found = try measures(study, subject)
            guard subject.site.space == .features else {
                #expect(found["second_cosine"] == nil)
                continue
            }
            #expect(abs(try #require(found["second_cosine"]?.double) - (1 - Double(subject.index) / 100)) < 1e-6)
            #expect(found["second_retention"]?.double == 0.5 && found["second_retention_of_examples"]?.double == 0.5)
            #expect(abs(try #require(found["second_retention_of_others"]?.double) - 0.1) < 1e-6)
        }
        // Another threshold, or none to compare with, concerns the features' measures alone.
        for overrides in [[second, "measure.second_cosine=1"], []] {
            let changed = try toyStudy(folder.path, overrides: ["layers=[layer.a]"] + overrides)
            for stage in changed.stages {
                #expect(try outdated(stage, folder.path).allSatisfy { $0.hasPrefix("layer.a/features") })
                #expect(try outdated(stage, folder.path).isEmpty == (stage.name != "measure"))
            }
        }
        let strict = try toyStudy(folder.path, overrides: ["layers=[layer.a]", second, "measure.second_cosine=1"])
        try runAll(strict)
        let unmatched = try #require(try strict.subjects().first { $0.site.space == .features && $0.index > 0 })
        let none = try measures(strict, unmatched)
        #expect(none["second_retention"] == .null && none["second_cosine"]?.double != nil)
    }

    private func outdated(_ stage: some WorkStage, _ folder: String) throws -> [String] {
        let store = UnitStore(study: folder, stage: stage.name)
        return try stage.units().filter { store.state(of: $0) != .done }.map(\.id)
    }

    /// The shipped autoencoder with its features in another order and its decoder a little off.
    private func permuted(_ original: SparseAutoencoder, _ order: [Int]) -> SparseAutoencoder {
        let random = CounterRandom(seed: 1, purpose: .noise)
        func rows(_ matrix: Tensor, noise: Float) -> Tensor {
            let width = matrix.count / order.count
            let all = matrix.array
            let values = order.flatMap { all[$0 * width..<($0 + 1) * width] }
            return Tensor(matrix.shape, values.enumerated().map { $1 + noise * random.normal($0) })
        }
        return SparseAutoencoder(
            configuration: original.configuration, encoderWeight: rows(original.encoderWeight, noise: 0),
            encoderBias: rows(original.encoderBias, noise: 0), decoderWeight: rows(original.decoderWeight, noise: 0.005),
            decoderBias: original.decoderBias)
    }

    private func model(second: String?, engine: Engine) throws -> NetworkModel {
        try NetworkModel(
            ModelSession(ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: engine),
            secondAutoencoders: second)
    }

    @Test func aPermutedCopyRetainsAllAndOthersLittle() throws {
        let folder = try TemporaryFolder()
        let (engine, layer) = (try Engine(threads: 2), EmbeddedModel.layer)
        let original = try SparseAutoencoder(folder: AutoencoderFolder.find(in: EmbeddedModel.name, layer: layer))
        let order = CounterRandom(seed: 2, purpose: .selection).permutation(original.numLatents)
        try permuted(original, order).write(folder: folder.file("unet.\(layer)"))
        let model = try self.model(second: folder.path, engine: engine)
        let subject = Subject(site: Site(layer: layer, space: .features), index: 570)
        let match = try #require(try model.match(subject))
        #expect(match.feature == order.firstIndex(of: 570) && match.cosine > 0.99 && match.count == original.numLatents)
        #expect(try model.match(Subject(site: Site(layer: layer, space: .channels), index: 3)) == nil)
        #expect(try model.secondIdentity(layer) != model.identity(of: subject.site))
        let pool = try model.pool(0..<128, size: StudySettings(SettingsFile.parse("", name: "s")).capture, check: {})
        let others = Array((0..<original.numLatents).filter { $0 != match.feature }.prefix(15))
        let rows = try model.activations(
            of: pool, subject, beside: [match.feature] + others, place: .mean, timestep: 301, draws: 1)
        // The pictures that excite it most, as a dream does.
        let strongest = rows.sorted { $0[0] > $1[0] }.prefix(2)
        let sums = rows[0].indices.map { column in strongest.reduce(0) { $0 + Double($1[column]) } }
        #expect(sums[0] > 0)
        #expect(abs(sums[1] / sums[0] - 1) < 0.02)
        #expect(sums.dropFirst(2).reduce(0, +) / 15 < 0.5 * sums[0])
        // Its own activations are those that all measures have.
        let plain = try model.activations(
            of: pool, at: [subject.site], places: [:], timestep: 301, draws: 1)[subject.site]?.map { $0[570] }
        let lengths = zip(rows, plain ?? []).filter { $1 > 0 }.map { $0[0] / $1 }
        #expect(lengths.allSatisfy { abs($0 / lengths[0] - 1) < 1e-3 } && !lengths.isEmpty)
    }

    @Test func aFolderThatDoesNotFitIsRefused() throws {
        let folder = try TemporaryFolder()
        let (engine, layer) = (try Engine(threads: 1), EmbeddedModel.layer)
        func refusal(_ second: String) throws -> SimpleFailure? {
            let model = try self.model(second: second, engine: engine)
            let subject = Subject(site: Site(layer: layer, space: .features), index: 0)
            return #expect(throws: SimpleFailure.self) { _ = try model.match(subject) }
        }
        #expect(try refusal(folder.path)?.kind == .missingInput)
        #expect(try refusal(EmbeddedModel.name)?.description.contains("the same autoencoder") == true)
        let narrow = SparseAutoencoder(
            configuration: SAEConfiguration(inputWidth: 8, numLatents: 16, k: 2), encoderWeight: .zeros([16, 8]),
            encoderBias: .zeros([16]), decoderWeight: .zeros([16, 8]), decoderBias: .zeros([8]))
        try narrow.write(folder: folder.file("unet.\(layer)"))
        #expect(try refusal(folder.path)?.description.contains("made for 8 channels") == true)
    }
}
