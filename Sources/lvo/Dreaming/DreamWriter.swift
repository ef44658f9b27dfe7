import Checkpoints
import Experiments
import Files
import Foundation
import Parallel
import Pictures
import StableDiffusion
import Tensors
import Visualization
import WorkUnits

/// Runs a dream's batches, and writes and reports their results.
struct DreamWriter {
    private let output: DreamOutputOptions
    private let experiment: DreamExperiment
    private let progress: Progress
    private let batches: [[DreamItem]]
    private let isWorker: Bool

    /// Makes the folder, and refuses in advance what could not be written after hours of work.
    ///
    /// - Parameters:
    ///   - part: of the batches.
    ///   - isWorker: whether another process has looked at the folder, hears what happens, and writes the sheet.
    init(_ experiment: DreamExperiment, _ output: DreamOutputOptions, part: Shard, isWorker: Bool) throws {
        (self.experiment, self.output, self.isWorker) = (experiment, output, isWorker)
        batches = part.select(experiment.batches)
        let steps = batches.count * experiment.request.settings.steps
        progress = Progress(total: steps, emitsEvents: output.json || isWorker)
        try prepare(batches.flatMap { $0.map(stem) })
    }

    private static let animationEnding = "_course.png"
    private var overwrite: Bool { output.overwrite || isWorker }

    private func prepare(_ stems: [String]) throws {
        try OutputFile.makeFolder(output.output)
        if Set(stems).count != stems.count {
            throw SimpleFailure(.usage, "the same channel, feature or direction name is given twice")
        }
        guard FileManager.default.isWritableFile(atPath: output.output) else {
            throw SimpleFailure(.cannotWrite, "\(output.output): no permission to write there")
        }
        if overwrite { return }
        let endings = [".png", ".safetensors", ".json"] + (output.animation ? [Self.animationEnding] : [])
        let files = stems.flatMap { stem in endings.map { stem + $0 } } + (output.sheet.map { [$0] } ?? [])
        if let file = files.first(where: FileManager.default.fileExists(atPath:)) {
            throw FileFailure.exists(file: file)
        }
    }

    /// Path of a result's files without their endings.
    private func stem(_ item: DreamItem) -> String {
        let name = experiment.objective(item).name.replacing(" ", with: "-")
        let safe = String(name.map { $0.isLetter || $0.isNumber || "-+._".contains($0) ? $0 : "_" })
        return "\(output.output)/\(experiment.hook.name)_\(safe)_t\(item.timestep)_seed\(experiment.seed(item))"
    }

    func run() throws {
        begin()
        let pictures = try batches.flatMap { batch in
            zip(batch, try run(batch)).map { (item: $0, picture: $1) }
        }
        try end(pictures)
    }

    /// The same by workers, each with every n-th batch. One that is killed begins its batches again.
    func share(among groups: [CoreGroup]) throws {
        begin()
        let fleet = WorkerFleet(
            groups: groups, arguments: { WorkersOption.arguments(["--batches", "\($0)/\(groups.count)"]) },
            stop: StopFlag()
        ) { _, json in
            let members = (json.object ?? JSONObject()).map { ($0.key, $0.value) }
            switch json["event"]?.string {
            case "step": report(members.filter { $0.0 != "event" })
            case "result": report(json["path"]?.string ?? "", members.filter { $0.0 != "event" })
            default: break
            }
        } say: {
            progress.close()
            Output.error($0 + "\n")
        }
        if let failure = try fleet.run() { throw failure }
        let items = batches.flatMap(\.self)
        let pictures = try items.map { (item: $0, picture: try PNG.read(stem($0) + ".png").bitmap) }
        try output.preview.show(pictures.map(\.picture))
        try end(pictures)
    }

    private func begin() {
        progress.event(
            "start",
            [("results", .integer(batches.joined().count)), ("settings", experiment.request.settings.json)])
    }

    private func end(_ pictures: [(item: DreamItem, picture: Bitmap)]) throws {
        if let sheet = output.sheet, !isWorker {
            try PNG.write(contactSheet(pictures).draw(), to: sheet, overwrite: overwrite)
            progress.result(sheet)
        }
        progress.close()
        progress.event("done")
    }

    /// The results' pictures.
    private func run(_ items: [DreamItem]) throws -> [Bitmap] {
        let outcome = try experiment.run(items, snapshotEvery: output.every) { moment in
            report(moment.step, items)
            if let snapshot = moment.snapshot {
                let number = String(snapshot.step)
                let padded = String(repeating: "0", count: max(0, 4 - number.count)) + number
                try write(experiment.pictures(snapshot.latents), items, suffix: "_step\(padded)")
            }
        }
        // From here on the last batch needs no more of the U-Net than the part up to the layer, and that after the VAE.
        if items == batches.last { experiment.session.releaseUNet() }
        let pictures = try experiment.pictures(outcome.latents)
        try write(pictures, items, suffix: "")
        if output.animation { try writeAnimations(outcome.snapshots, items) }
        progress.close()
        try output.preview.show(pictures)
        let retention = try experiment.retention(outcome, items)
        for (index, item) in items.enumerated() {
            try write(
                outcome.records[index], retention: retention[index], outcome.latents.slice(index..<index + 1), item)
        }
        return pictures
    }

    private func write(_ record: DreamRecord, retention: Double?, _ latent: Tensor, _ item: DreamItem) throws {
        let (stem, path) = (stem(item), stem(item) + ".png")
        try SafetensorsWriter.write(
            [("latent", latent)], metadata: ["lvo": record.description.serialized()], to: stem + ".safetensors",
            overwrite: overwrite)
        var json = record.json(timed: true).object ?? JSONObject()
        json["retention"] = retention.map { .float(Float($0)) } ?? .null
        try JSON.object(json).write(to: stem + ".json", overwrite: overwrite)
        if let step = record.divergedAt {
            progress.close()
            note("\(path): numbers overflowed at step \(step); kept the latent before it")
        }
        report(
            path,
            [
                ("path", .string(path)), ("start", .number(record.startActivation)),
                ("final", .number(record.finalActivation)), ("retention", retention.map(JSON.number) ?? .null),
            ])
    }

    private func report(_ path: String, _ members: [(String, JSON)]) {
        progress.event("result", members)
        progress.result(path)
    }

    private func write(_ pictures: [Bitmap], _ items: [DreamItem], suffix: String) throws {
        for (item, picture) in zip(items, pictures) {
            let path = stem(item) + suffix + ".png"
            try PNG.write(picture, text: experiment.pictureText(item), to: path, overwrite: overwrite)
            if !suffix.isEmpty { progress.event("picture", [("path", .string(path))]) }
        }
    }

    private func writeAnimations(_ snapshots: [DreamSnapshot], _ items: [DreamItem]) throws {
        let frames = try snapshots.map { try experiment.pictures($0.latents) }
        for (index, item) in items.enumerated() {
            let path = stem(item) + Self.animationEnding
            try APNG.write(
                frames.map { $0[index] }, milliseconds: 180, lastMilliseconds: 1500,
                text: [PNGText("lvo", experiment.description(item).serialized())], to: path,
                overwrite: overwrite)
            progress.result(path)
        }
    }

    private func report(_ step: DreamStep, _ items: [DreamItem]) {
        report([
            ("objectives", .array(items.map { .string(experiment.objective($0).name) })),
            ("timestep", .integer(items[0].timestep)),
            ("seeds", .array(items.map { .integer(Int(experiment.seed($0))) })),
            ("step", .integer(step.index)), ("activation", .array(step.activations.map(JSON.number))),
            ("loss", .array(step.losses.map(JSON.number))),
        ])
    }

    private func report(_ step: [(String, JSON)]) {
        let json = JSON(step)
        let activations = json["activation"]?.array?.compactMap(\.double) ?? []
        let mean = activations.reduce(0, +) / Double(max(1, activations.count))
        var names: [String] = []
        for name in json["objectives"]?.array?.compactMap(\.string) ?? [] where !names.contains(name) { names.append(name) }
        let rounded = (mean * 1000).rounded() / 1000
        progress.advance("\(names.joined(separator: ", ")) t=\(json["timestep"]?.int ?? 0) activation \(rounded)")
        progress.event("step", step)
    }

    /// Batches come in the order of time steps, objectives, seeds, which is that of the sheet's rows and
    /// columns.
    private func contactSheet(_ results: [(item: DreamItem, picture: Bitmap)]) -> ContactSheet {
        let cells = results.map { item, picture in
            let name = "\(experiment.objective(item).name) t=\(item.timestep)"
            return ContactSheet.Cell(picture, label: item.seed == 0 ? name : "seed \(experiment.seed(item))")
        }
        let enlargement = max(1, 192 / max(1, results[0].picture.width))
        let columns = experiment.request.seeds.count
        return ContactSheet(cells, columns: columns, enlargement: enlargement, title: experiment.hook.name)
    }
}
