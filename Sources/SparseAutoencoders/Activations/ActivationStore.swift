import Checkpoints
import Files
import Foundation
import Tensors

/// Activations of one layer on disk: `store.json` and files `shard-00000.safetensors` … (`ActivationFile`). All files but
/// the last hold the same number of pictures, so which pictures a file has follows from its number, whoever wrote it.
///
/// The files may be spread over several folders with the same `store.json`: those are parts of one store.
public struct ActivationStore: Sendable {
    /// Where the files are; new ones are written to the first.
    public private(set) var folders: [String]
    /// The hook point's name.
    public let layer: String
    /// Channels of a token, `D`.
    public let width: Int
    /// Tokens of one map.
    public let positions: Int
    /// Pictures of the complete store.
    public let pictures: Int
    /// Pictures of every file but the last.
    public let picturesPerFile: Int
    /// What the activations were made from.
    public let origin: JSON

    /// Opens a store.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is none or it is not complete; `FileFailure`.
    public init(folder: String) throws {
        try self.init(part: folder)
        try requireComplete()
    }

    /// Opens what a folder has of a store.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is no store; `FileFailure`.
    public init(part folder: String) throws {
        let path = Self.description(folder)
        guard FileManager.default.fileExists(atPath: path) else {
            throw SimpleFailure(.missingInput, "\(path): no such file; expected a store of captured activations")
        }
        let file = try ConfigFile(path: path)
        folders = [folder]
        layer = try file.string("layer")
        width = try file.size("width")
        positions = try file.size("positions")
        pictures = try file.size("pictures")
        picturesPerFile = try file.size("pictures_per_shard")
        origin = file.json["origin"] ?? .null
    }

    /// Makes a store, or opens one that was made alike.
    ///
    /// - Throws: `SimpleFailure(.usage)` naming what differs if there is another one.
    public init(
        folder: String, layer: String, width: Int, positions: Int, pictures: Int, picturesPerFile: Int,
        origin: JSON = .null
    ) throws {
        folders = [folder]
        self.layer = layer
        self.width = width
        self.positions = positions
        self.pictures = pictures
        self.picturesPerFile = picturesPerFile
        self.origin = origin
        let path = Self.description(folder)
        try OutputFile.makeFolder(folder)
        // Of processes that begin together one writes it, and the others compare.
        if !FileSystem.isFile(path) { do { try json.write(to: path, overwrite: false) } catch FileFailure.exists {} }
        if let (key, found, wanted) = try JSON.read(path).difference(from: json) {
            throw SimpleFailure(
                .usage, "\(path): the store there has \(key) \(found), not \(wanted); give another folder")
        }
    }

    /// The path of a store's description in its folder.
    public static func description(_ folder: String) -> String { "\(folder)/store.json" }

    private var json: JSON {
        [
            "layer": .string(layer), "width": .integer(width), "positions": .integer(positions),
            "pictures": .integer(pictures), "pictures_per_shard": .integer(picturesPerFile), "dtype": "F16",
            "origin": origin,
        ]
    }

    /// The same stores, those that are parts of one joined to it.
    public static func joined(_ parts: [ActivationStore]) -> [ActivationStore] {
        parts.reduce(into: []) { stores, part in
            if let known = stores.firstIndex(where: { $0.json == part.json }) {
                stores[known].folders += part.folders
            } else {
                stores.append(part)
            }
        }
    }

    /// - Throws: `SimpleFailure(.missingInput)` if a file of the store is not there yet.
    public func requireComplete() throws {
        guard fileCount == filesInAll else {
            throw SimpleFailure(
                .missingInput, "\(folders.joined(separator: ", ")): \(fileCount) of \(filesInAll) files; capture the rest "
                    + "to complete it")
        }
    }

    /// Pictures of one file.
    public func pictures(file: Int) -> Range<Int> {
        file * picturesPerFile..<min(pictures, (file + 1) * picturesPerFile)
    }

    /// Where the file is, or is to be.
    public func path(file: Int) -> String {
        let paths = folders.map { "\($0)/\(Self.name(file: file))" }
        return (paths.count > 1 ? paths.first(where: FileSystem.isFile) : nil) ?? paths[0]
    }

    private static func name(file: Int) -> String {
        let digits = String(file)
        return "shard-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }

    /// Files of the complete store.
    public var filesInAll: Int { (pictures + picturesPerFile - 1) / picturesPerFile }

    /// Whether the file is there; it was then written whole.
    public func has(file: Int) -> Bool { FileManager.default.fileExists(atPath: path(file: file)) }

    /// Files that are there.
    public var fileCount: Int { (0..<filesInAll).count { has(file: $0) } }

    /// Writes one file, whole or not at all: maps `[positions, width]` with their time steps. One that another process has
    /// written meanwhile has the same bytes and stays.
    ///
    /// - Precondition: as many time steps as maps, and every map has the store's size.
    /// - Throws: `SimpleFailure(.badData)` if an activation is NaN or infinite; `FileFailure`.
    public func write(file: Int, maps: [Tensor], timesteps: [Int]) throws {
        precondition(
            maps.count == timesteps.count && maps.allSatisfy { $0.count == positions * width }, "file \(file)")
        do {
            try ActivationFile.write(maps, timesteps: timesteps, width: width, to: path(file: file))
        } catch let failure as FileFailure where has(file: file) {
            guard case .exists = failure else { throw failure }
        }
    }

    /// Opens one file by mapping it; its activations are read, and compared with their checksums, when they are used.
    ///
    /// - Throws: `FileFailure` naming the file.
    public func open(file: Int) throws(FileFailure) -> ActivationFile {
        try ActivationFile(path: path(file: file), width: width, positions: positions)
    }

    /// Calls `body` with each map `[positions, width]` and its time step, in the order in which they were stored.
    ///
    /// - Throws: `FileFailure` naming the file; what `body` throws.
    public func forEachMap(_ body: (_ map: Tensor, _ timestep: Int) throws -> Void) throws {
        for number in 0..<filesInAll {
            let file = try open(file: number)
            for (index, timestep) in file.timesteps.enumerated() {
                let map = Tensor([positions, width])
                try file.copyTokens(from: index * positions, count: positions, to: map.pointer)
                try body(map, timestep)
            }
        }
    }
}
