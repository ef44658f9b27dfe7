import Files
import Foundation
import SparseAutoencoders
import Tensors
import WorkUnits

/// Writes activations of layers into stores, FOLDER/LAYER, a file of pictures at a time. Run again after a
/// stop or a crash, it goes on: files that are there are kept.
///
/// Any number of processes may fill one folder, or each its own: they take files by claims, `Shard` gives a part to each,
/// and the stores have the same bytes however the work was divided. Several folders can be read together
/// (`ActivationStore.joined`).
public struct Capture {
    /// An event of the capture.
    public enum Event: Sendable {
        /// The number of files that are there, and of pictures still to be drawn.
        case began(filesDone: Int, files: Int, picturesLeft: Int)
        /// A picture of a file was drawn; files count from 0.
        case drew(file: Int, of: Int)
        /// Other processes are at the last so many files.
        case waiting(files: Int)
    }

    /// The size of one layer's store.
    public struct Size: Sendable, Equatable {
        /// The hook point's name.
        public let layer: String
        /// How many pictures are captured.
        public let pictures: Int
        /// Maps of a picture.
        public let steps: Int
        /// Positions of a map, height · width of the layer.
        public let positions: Int
        /// Channels of a position.
        public let channels: Int
        /// In half precision, with each position's checksum.
        public var bytes: Int { pictures * bytesPerPicture }
        var bytesPerPicture: Int { steps * positions * (channels * 2 + 8) }
    }

    /// Of each layer.
    public let sizes: [Size]
    private let activations: GeneratedActivations
    private let pictures: Int
    private let picturesPerFile: Int
    private let check: () throws -> Void

    /// Loads nothing. For the identity of the model it reads every weight that the session's checksums do not know.
    ///
    /// - Parameters:
    ///   - request: without a limit, one picture for each prompt is drawn.
    ///   - check: asked after every U-Net call; what it throws ends the capture. Pictures of an unfinished file are
    ///     kept for the next run if that is a `Failure` of the kind `stoppedEarly`.
    /// - Throws: as `GeneratedActivations`.
    public init(
        _ session: ModelSession, _ request: CaptureRequest, picturesPerFile: Int = 16,
        check: @escaping () throws -> Void = {}
    ) throws {
        guard picturesPerFile > 0 else {
            throw SimpleFailure(.usage, "\(picturesPerFile) pictures per file: expected at least 1")
        }
        var request = request
        let pictures = request.limit ?? request.prompts.count
        request.limit = pictures
        let activations = try GeneratedActivations(session, request) { _, _, _ in try check() }
        (self.activations, self.pictures, self.picturesPerFile) = (activations, pictures, picturesPerFile)
        self.check = check
        sizes = activations.layers.map {
            Size(
                layer: $0.name, pictures: pictures, steps: activations.mapsPerPicture, positions: $0.positions,
                channels: $0.width)
        }
    }

    /// Draws what is missing.
    ///
    /// - Returns: the stores' folders.
    /// - Throws: what the check throws; a `Failure`: `.usage` if there is a store made otherwise,
    ///   `.cannotWrite` if the disk has no room for what is missing.
    public func run(into folder: String, report: (Event) -> Void = { _ in }) throws -> [String] {
        try run(into: folder, shard: .whole, report: report)
    }

    /// Draws what is missing of a part of the files.
    ///
    /// - Returns: the stores' folders.
    /// - Throws: as the other.
    package func run(into folder: String, shard: Shard, report: (Event) -> Void = { _ in }) throws -> [String] {
        try OutputCheck.folder(folder)
        let stores = try activations.layers.map { try store($0, in: folder) }
        let files = shard.select(Array(0..<stores[0].filesInAll))
        let missing = files.filter { !Self.isDone($0, stores) }
        let left = missing.reduce(0) { $0 + stores[0].pictures(file: $1).count }
        try checkSpace(folder, needed: sizes.reduce(0) { $0 + $1.bytesPerPicture } * left)
        report(.began(filesDone: files.count - missing.count, files: files.count, picturesLeft: left))
        if missing.isEmpty { return stores.map { $0.folders[0] } }
        let claims = try Claims(study: folder)
        func wait(_ taken: Int) throws {
            report(.waiting(files: taken))
            try SharedWork.pause(check)
        }
        try SharedWork.run(missing, wait: wait) { file in
            if Self.isDone(file, stores) { return true }
            guard try claims.take(stage: CapturedPictures.stage, unit: "\(file)") else { return false }
            defer { claims.release(stage: CapturedPictures.stage, unit: "\(file)") }
            // Between the look and the claim another process may have written it.
            if !Self.isDone(file, stores) {
                try write(file, stores, in: folder) { report(.drew(file: file, of: stores[0].filesInAll)) }
            }
            return true
        }
        return stores.map { $0.folders[0] }
    }

    private static func isDone(_ file: Int, _ stores: [ActivationStore]) -> Bool {
        stores.allSatisfy { $0.has(file: file) }
    }

    private func store(
        _ layer: (name: String, width: Int, positions: Int), in folder: String
    ) throws -> ActivationStore {
        let (path, origin) = ("\(folder)/\(layer.name)", activations.origin)
        let description = ActivationStore.description(path)
        if FileSystem.isFile(description) {
            try ModelCheck.sameModel(try JSON.read(description)["origin"], origin, at: description)
        }
        return try ActivationStore(
            folder: path, layer: layer.name, width: layer.width, positions: layer.positions, pictures: pictures,
            picturesPerFile: picturesPerFile, origin: origin)
    }

    private func checkSpace(_ folder: String, needed: Int) throws {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.intValue, free < needed else { return }
        throw SimpleFailure(
            .cannotWrite, "\(folder): \(Self.text(bytes: needed)) to write, \(Self.text(bytes: free)) free; give another "
                + "folder or fewer pictures")
    }

    private func write(_ file: Int, _ stores: [ActivationStore], in folder: String, drawn: () -> Void) throws {
        let range = stores[0].pictures(file: file)
        var captured = try CapturedPictures(file, range, stores, in: folder)
        for _ in 0..<captured.count { drawn() }
        do {
            for index in range.dropFirst(captured.count) {
                guard let picture = try activations.picture(index) else { break }
                captured.add(picture, timesteps: activations.timesteps)
                drawn()
            }
        } catch let failure as any Failure where failure.kind == .stoppedEarly {
            try captured.keep()
            throw failure
        }
        for (store, maps) in zip(stores, captured.maps) where !store.has(file: file) {
            OutputFile.removeLeftovers(of: store.path(file: file))
            try store.write(file: file, maps: maps, timesteps: captured.timesteps)
        }
        captured.remove()
    }

    /// `12.3 MB` or `4.56 GB`.
    package static func text(bytes: Int) -> String {
        bytes < 1_000_000_000
            ? String(format: "%.1f MB", Double(bytes) / 1e6) : String(format: "%.2f GB", Double(bytes) / 1e9)
    }
}
