import Checkpoints
import StableDiffusion
import Tensors
import Testing
import TestSupport

@Suite struct SyntheticWeightsTests {
    /// Bits computed by a separate program from the written rule.
    @Test(
        arguments: [
            ("conv_in.weight", [320, 4, 3, 3], 0, "", 0x3d28_7e74),
            ("conv_in.weight", [320, 4, 3, 3], 1, "", 0x3e62_96ac),
            ("conv_in.weight", [320, 4, 3, 3], 11519, "", 0x3d81_0b10), ("conv_in.bias", [320], 0, "", 0xbd37_063d),
            ("conv_in.bias", [320], 319, "", 0x3d27_0bd3),
            ("time_embedding.linear_1.weight", [1280, 320], 5, "", 0xbd02_6984),
            ("down_blocks.0.resnets.0.norm1.weight", [320], 3, "", 0x3f80_a6ff),
            ("text_model.embeddings.token_embedding.weight", [49408, 768], 37_945_343, "", 0x3ca0_94b4),
            ("conv_in.weight", [320, 4, 3, 3], 0, "other", 0xbe86_cb74),
        ] as [(String, [Int], Int, String, UInt32)])
    func followsTheRule(_ name: String, _ shape: [Int], _ index: Int, _ salt: String, _ bits: UInt32) {
        #expect(SyntheticWeights(name: name, shape: shape, salt: salt).element(index).bitPattern == bits)
    }

    @Test func partsEqualTheWhole() {
        let weights = SyntheticWeights(name: "x.weight", shape: [7, 5])
        let whole = weights.tensor().array
        var part = [Float](repeating: 0, count: 9)
        weights.fill(20..<29, into: &part)
        #expect(part == Array(whole[20..<29]))
        var half = [UInt16](repeating: 0, count: 9)
        weights.fillHalf(20..<29, into: &half)
        #expect(half == whole[20..<29].map { Float16($0).bitPattern })
    }

    @Test(arguments: [DType.f32, .f16]) func streamedFilesHoldEveryTensor(_ dtype: DType) throws {
        let folder = try TemporaryFolder()
        let manifest = UNetConfig(
            widths: [8, 16], layersPerBlock: 1, contextWidth: 12, downAttention: [true, false],
            upAttention: [false, true]
        ).manifest
        let path = folder.file("unet.safetensors")
        try SyntheticModel(dtype: dtype, salt: "s").write(manifest, to: path, overwrite: false) { tasks, body in
            for task in (0..<tasks).reversed() { body(task) }
        }
        let store = try WeightStore(path: path, naming: ModelComponent.unet)
        try store.verify(manifest)
        #expect(store.dtypes == [dtype: manifest.tensors.count])
        for tensor in manifest.tensors {
            let expected = SyntheticWeights(name: tensor.name, shape: tensor.shape, salt: "s").tensor().array
            let found = try store.take(tensor.name, shape: tensor.shape).floats()
            #expect(found == (dtype == .f32 ? expected : expected.map { Float(Float16($0)) }))
        }
        try store.finish()
    }
}
