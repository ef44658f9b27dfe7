import ArgumentParser
import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Visualization

/// Looking at and editing activations while pictures are made.
struct HookOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Edit a layer: LAYER:(channel=J|feature=J|vector=FILE):STRENGTH[@T0-T1]. Repeatable.",
            discussion: """
                Adds STRENGTH times the channel, the feature's decoder row, or the vector, at time steps T0 to T1. For \
                features, STRENGTH may also be clamp=V, scale=F or ablate, which keep the reconstruction's error.
                """,
            valueName: "edit"))
    var steer: [String] = []

    @Option(
        help: ArgumentHelp(
            "Keep a layer's activations: LAYER[:features][:maps][@T0-T1]. Repeatable.",
            discussion: """
                Written beside each picture as NAME.activations.safetensors: averages over positions unless maps are \
                asked for, at the conditional half. With steering, what the layer gave before its own edits.
                """,
            valueName: "layer"))
    var capture: [String] = []

    @OptionGroup var autoencoders: SAEOptions

    /// Every request, read once.
    struct Requests {
        let steering: [SteeringRequest]
        let recording: [RecordingRequest]
    }

    func requests() throws -> Requests {
        let recording = try capture.map(RecordingRequest.init(parsing:))
        let names = recording.map(\.name)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw SimpleFailure(.usage, "--capture asks for \(twice) twice; one range of time steps can cover both")
        }
        return try Requests(steering: steer.map(SteeringRequest.init(parsing:)), recording: recording)
    }

    /// The sparse autoencoder of a layer. Loaded anew at each call: requests are few.
    func autoencoder(_ point: HookPoint) throws -> SparseAutoencoder {
        guard let folder = autoencoders.sae else {
            throw SimpleFailure(.usage, "features of \(point.name) need a sparse autoencoder: give --sae DIR")
        }
        return try SAEOptions.load(folder, for: point)
    }
}
