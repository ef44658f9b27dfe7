import ArgumentParser
import Experiments
import Files
import SparseAutoencoders
import StableDiffusion
import Tensors
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

    func validate() throws {
        let wantsFeatures = steer.contains { $0.contains("feature=") } || capture.contains { $0.contains(":features") }
        if autoencoders.sae != nil, !wantsFeatures {
            throw ValidationError("--sae is for edits and recordings of features, and none is asked for")
        }
    }

    func recordings() throws -> [Recording] {
        let recordings = try capture.map(Recording.init(parsing:))
        let names = recordings.map(\.name)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw SimpleFailure(.usage, "--capture asks for \(twice) twice; one range of time steps can cover both")
        }
        if let features = recordings.first(where: { $0.space == .features }) { try needAutoencoder(features.layer) }
        return recordings
    }

    /// The edits, each with its autoencoder or vector.
    func steering(_ session: ModelSession) throws -> [Steering] {
        try steer.map(SteeringArgument.init(parsing:)).map { argument in
            if case .feature = argument.target { try needAutoencoder(argument.layer) }
            return try argument.steering(session)
        }
    }

    private func needAutoencoder(_ layer: String) throws {
        if autoencoders.sae == nil {
            throw SimpleFailure(.usage, "features of \(layer) need a sparse autoencoder: give --sae DIR")
        }
    }
}

/// A steering edit as people write it: `LAYER:TARGET:EDIT[@T0-T1]`.
///
/// TARGET is `channel=J`, `feature=J` (of the layer's sparse autoencoder) or `vector=FILE` (a safetensors
/// file with one tensor, or one called `vector`, as wide as the layer). EDIT is a strength to add, `12.5`;
/// for features also `clamp=V`, `scale=F` and `ablate`. T0-T1 are time steps, both included; without them
/// every step.
struct SteeringArgument {
    let text: String
    let layer: String
    let target: Target
    let edit: FeatureEdit
    let timesteps: ClosedRange<Float>?

    /// - Throws: `SimpleFailure(.usage)` that quotes the text and says what was expected.
    init(parsing text: String) throws {
        func fail(_ problem: String) -> SimpleFailure {
            SimpleFailure(
                .usage,
                "'\(text)': \(problem); expected LAYER:(channel=J|feature=J|vector=FILE):STRENGTH[@T0-T1], "
                    + "for features also clamp=V, scale=F or ablate in place of STRENGTH")
        }
        guard let first = text.firstIndex(of: ":"), let last = text.lastIndex(of: ":"), first < last else {
            throw fail("two colons are needed")
        }
        let (edit, timesteps) = try TimestepRange.split(text[text.index(after: last)...])
        let target = text[text.index(after: first)..<last].split(separator: "=", maxSplits: 1).map(String.init)
        guard target.count == 2 else { throw fail("no target") }
        guard let named = Target(kind: target[0], value: target[1]) else {
            throw fail("unknown target '\(target.joined(separator: "="))'")
        }
        guard let parsed = Self.edit(edit) else { throw fail("unknown edit '\(edit)'") }
        if case .add = parsed {} else if target[0] != "feature" { throw fail("'\(edit)' needs a feature") }
        (self.text, layer) = (text, String(text[..<first]))
        (self.target, self.edit, self.timesteps) = (named, parsed, timesteps)
    }

    enum Target {
        case channel(Int)
        case feature(Int)
        case vector(file: String)

        init?(kind: String, value: String) {
            switch (kind, Int(value)) {
            case ("channel", let index?) where index >= 0: self = .channel(index)
            case ("feature", let index?) where index >= 0: self = .feature(index)
            case ("vector", _): self = .vector(file: value)
            default: return nil
            }
        }
    }

    private static func edit(_ text: String) -> FeatureEdit? {
        if text == "ablate" { return .scale(0) }
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard let value = parts.last.flatMap(Float.init), value.isFinite else { return nil }
        switch (parts.count, parts[0]) {
        case (1, _): return .add(value)
        case (2, "clamp"): return .clamp(value)
        case (2, "scale"): return .scale(value)
        default: return nil
        }
    }

    /// - Throws: a `Failure` if its layer, autoencoder or file is not there.
    func steering(_ session: ModelSession) throws -> Steering {
        let readout: Readout
        switch target {
        case .channel(let index): readout = .channel(index)
        case .feature(let index): readout = .feature(index, try session.autoencoder(layer))
        case .vector(let file): readout = .direction(try TensorFile.read(file, name: "vector"), name: file)
        }
        return Steering(layer: layer, readout: readout, edit: edit, timesteps: timesteps, text: text)
    }
}

extension Recording {
    /// A recording as people write it: `LAYER[:features][:maps][@T0-T1]`.
    ///
    /// - Throws: `SimpleFailure(.usage)` that quotes the text and says what was expected.
    init(parsing text: String) throws {
        let (plain, timesteps) = try TimestepRange.split(text[...])
        let parts = plain.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let options = parts.dropFirst()
        guard let layer = parts.first, !layer.isEmpty, Set(options).count == options.count,
            options.allSatisfy({ ["features", "maps"].contains($0) })
        else { throw SimpleFailure(.usage, "'\(text)': expected LAYER[:features][:maps][@T0-T1]") }
        self.init(
            layer: layer, space: options.contains("features") ? .features : .channels,
            form: options.contains("maps") ? .maps : .means, timesteps: timesteps)
    }
}

/// `…@T0-T1`, as edits and recordings end.
enum TimestepRange {
    /// Splits off the range; `@T` means one time step, and either end may come first.
    static func split(_ text: Substring) throws -> (rest: String, timesteps: ClosedRange<Float>?) {
        guard let mark = text.lastIndex(of: "@") else { return (String(text), nil) }
        let ends = text[text.index(after: mark)...].split(separator: "-", omittingEmptySubsequences: false)
        let values = ends.compactMap { Float($0) }
        guard values.count == ends.count, (1...2).contains(values.count), values.allSatisfy(\.isFinite) else {
            throw SimpleFailure(.usage, "'\(text)': expected time steps after @ as T or T0-T1, such as @0-500")
        }
        let (first, last) = (values[0], values[values.count - 1])
        return (String(text[..<mark]), min(first, last)...max(first, last))
    }
}
