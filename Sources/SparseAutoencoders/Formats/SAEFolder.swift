import Checkpoints
import Files
import Tensors

/// The folder format of the published autoencoders (SAeUron, EleutherAI's sparsify): `cfg.json` and
/// `sae.safetensors` with `encoder.weight [L,D]`, `encoder.bias [L]`, `W_dec [L,D]`, `b_dec [D]`, and `threshold [L]`
/// for JumpReLU, which those programs do not have. Tensors may be f32, f16 or bf16.
extension SparseAutoencoder {
    /// - Throws: `FileFailure` naming file, key or tensor, expected and found.
    public convenience init(folder: String) throws {
        let configuration = try SAEConfiguration(ConfigFile(path: "\(folder)/cfg.json"))
        try self.init(configuration: configuration, file: "\(folder)/sae.safetensors")
    }

    convenience init(configuration: SAEConfiguration, file path: String) throws {
        let store = try WeightStore(path: path)
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        func take(_ name: String, _ shape: [Int]) throws -> Tensor {
            let weight = try store.take(name, shape: shape)
            let tensor = Tensor(shape)
            weight.copyFloats(into: tensor.pointer)
            return tensor
        }
        try self.init(
            configuration: configuration, encoderWeight: take("encoder.weight", [l, d]),
            encoderBias: take("encoder.bias", [l]), decoderWeight: take("W_dec", [l, d]),
            decoderBias: take("b_dec", [d]),
            threshold: configuration.rule == .jumpReLU ? take("threshold", [l]) : nil)
        try store.finish()
    }

    /// Writes both files into `folder`, which is made if it is missing.
    ///
    /// - Throws: `FileFailure.exists` or `.cannotWrite`.
    public func write(folder: String, dtype: DType = .f32, overwrite: Bool = false) throws {
        try OutputFile.makeFolder(folder)
        try SafetensorsWriter.write(
            parameters, to: "\(folder)/sae.safetensors", overwrite: overwrite, dtype: dtype)
        try configuration.json.write(to: "\(folder)/cfg.json", overwrite: overwrite)
    }
}
