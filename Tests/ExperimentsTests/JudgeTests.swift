import Checkpoints
import Experiments
import Files
import Foundation
import Ops
import Pictures
import Tensors
import TestSupport
import Testing

@Suite struct JudgeTests {
    private static func engine() throws -> Engine { try Engine(threads: 1) }

    private static func judge() throws -> Judge { try Judge(path: EmbeddedModel.judge(), engine: engine()) }

    @Test func logitsAreTorchs() throws {
        let (golden, judge) = (try Golden("judgements.safetensors", in: .module), try Self.judge())
        let pictures = try golden.tensor("pictures")
        let logits = judge.logits(pictures)
        #expect(Set(logits.keys) == ["ground", "pattern"])
        for (factor, values) in logits {
            #expect(values.shape == [pictures.shape[0], try #require(judge.classes[factor]).count])
            expectClose(values.array, try golden.array(factor).map(Double.init), tolerance: 1e-5, factor)
        }
        let threads = try Judge(path: EmbeddedModel.judge(), engine: Engine(threads: 3)).logits(pictures)
        #expect(logits.allSatisfy { threads[$0.key]?.array == $0.value.array })
    }

    @Test func itNamesWhatThePictureShows() throws {
        let judge = try Self.judge()
        // A plain red ground with a white square in its middle.
        var picture = Bitmap(width: 64, height: 64, red: 220, green: 40, blue: 40)
        picture.draw(Bitmap(width: 28, height: 28, red: 245, green: 245, blue: 245), x: 18, y: 18)
        #expect(judge.choices(picture) == ["ground": "red", "pattern": "plain"])
        #expect(judge.choices(Bitmap(width: 32, height: 64, red: 0, green: 0, blue: 0)) == nil)
    }

    @Test func itIsMeantForTheEmbeddedModelAlone() throws {
        func path(_ text: String, _ reference: ModelReference) throws -> String? {
            try JudgeReference(text).path(ModelSession(reference, engine: Self.engine()))
        }
        let embedded = ModelReference(EmbeddedModel.name)
        #expect(try path("embedded", embedded) == EmbeddedModel.judge())
        #expect(try path("none", embedded) == nil)
        #expect(try path("own.safetensors", ModelReference(EmbeddedModel.name, base: "/study")) == "/study/own.safetensors")
        // The same model in another place, and one that differs in a scheduler's setting.
        let folder = try TemporaryFolder()
        for name in ["same", "other"] {
            try FileManager.default.copyItem(atPath: EmbeddedModel.model(), toPath: folder.file(name))
        }
        let scheduler = folder.file("other/scheduler/scheduler_config.json")
        var settings = try #require(try JSON.read(scheduler).object)
        settings["prediction_type"] = "v_prediction"
        try JSON.object(settings).write(to: scheduler, overwrite: true)
        #expect(try path("embedded", ModelReference(folder.file("same"))) != nil)
        #expect(try path("embedded", ModelReference(folder.file("other"))) == nil)
    }

    @Test func damagedOnesAreRefused() throws {
        let folder = try TemporaryFolder()
        func refused(_ tensors: [(name: String, tensor: Tensor)], _ metadata: [String: String]) throws -> String {
            let path = folder.file("judge.safetensors")
            try SafetensorsWriter.write(tensors, metadata: metadata, to: path, overwrite: true)
            let failure = #expect(throws: SimpleFailure.self) { try Judge(path: path, engine: Self.engine()) }
            #expect(failure?.kind == .badData)
            return failure?.description ?? ""
        }
        let metadata = ["classes": #"{"shape": ["ring", "none"]}"#, "side": "8", "strides": "[2]"]
        let convolution: [(name: String, tensor: Tensor)] = [
            ("convolutions.0.weight", Tensor.zeros([4, 3, 3, 3])), ("convolutions.0.bias", Tensor.zeros([4])),
            ("heads.shape.bias", Tensor.zeros([2])),
        ]
        #expect(try refused(convolution, [:]).contains("metadata"))
        #expect(try refused(convolution, ["classes": "{", "side": "8"]).contains("metadata"))
        #expect(
            try refused(convolution + [("heads.shape.weight", Tensor.zeros([2, 5]))], metadata)
                .contains("heads.shape.weight has shape [2, 5], expected [2, 8]"))
        #expect(throws: FileFailure.missingTensors(file: folder.file("judge.safetensors"), names: ["heads.shape.weight"])) {
            try SafetensorsWriter.write(
                convolution, metadata: metadata, to: folder.file("judge.safetensors"), overwrite: true)
            _ = try Judge(path: folder.file("judge.safetensors"), engine: Self.engine())
        }
    }
}
