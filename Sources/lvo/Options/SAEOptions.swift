import ArgumentParser
import Foundation
import SparseAutoencoders
import StableDiffusion
import Tensors

/// Which sparse autoencoder.
struct SAEOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder of a sparse autoencoder (cfg.json, sae.safetensors), or one that holds such folders named by layer.",
            valueName: "dir"))
    var sae: String?

    /// The autoencoder for `hook`: `--sae` itself, or its subfolder called like the layer, with or without `unet.`.
    /// - Throws: `Failure` if it is not there, damaged, or for another width.
    static func load(_ folder: String, for hook: HookPoint) throws -> SparseAutoencoder {
        let candidates = [folder, "\(folder)/unet.\(hook.name)", "\(folder)/\(hook.name)"]
        guard let found = candidates.first(where: { FileManager.default.fileExists(atPath: $0 + "/cfg.json") }) else {
            throw SimpleFailure(
                .missingInput, "\(folder): no sparse autoencoder for \(hook.name) (cfg.json, or unet.\(hook.name)/cfg.json)")
        }
        let autoencoder = try SparseAutoencoder(folder: found)
        guard autoencoder.inputWidth == hook.channels else {
            throw SimpleFailure(
                .badData,
                "\(found): made for \(autoencoder.inputWidth) channels, \(hook.name) has \(hook.channels)")
        }
        return autoencoder
    }
}
