import ArgumentParser
import Experiments
import SparseAutoencoders

/// The sparse autoencoder.
struct SAEOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder of a sparse autoencoder (sparsify's, SAELens', dictionary_learning's), or of such named by layer, "
                + "or: embedded.",
            valueName: "dir"))
    var sae: String?

    /// The autoencoder of a layer: `name` itself, or its subfolder called like the layer, with or without
    /// `unet.`.
    /// - Throws: `Failure` if it is not there, damaged, or for another width.
    static func load(_ name: String, layer: String, width: Int) throws -> SparseAutoencoder {
        try AutoencoderFolder.load(AutoencoderFolder.find(in: name, layer: layer), layer: layer, width: width)
    }
}
