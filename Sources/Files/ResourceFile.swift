import Foundation

/// Files that come with the program: folders `lvo_MODULE.resources` beside the executable, where the build puts them and
/// a package keeps them; beside the shared library, where this code is part of one.
public enum ResourceFile {
    /// The path of a resource. `Bundle.module` is not used: it ends the process where it finds nothing.
    ///
    /// - Parameters:
    ///   - module: whose resource it is.
    ///   - what: it is, for the message.
    /// - Throws: `SimpleFailure(.missingInput)` naming the path.
    public static func path(_ name: String, module: String, what: String) throws -> String {
        let bundle = "lvo_\(module).resources"
        let paths = folders.map { "\($0)/\(bundle)/Resources/\(name)" }
        guard let path = paths.first(where: FileManager.default.fileExists) else {
            throw SimpleFailure(
                .missingInput, "\(paths[0]): \(what) is not there; keep \(bundle) beside the executable or the library")
        }
        return path
    }

    /// Of the shared library or executable that this code is in, then of the process's executable.
    private static var folders: [String] {
        let folders = [image.map { URL(fileURLWithPath: $0) }, Bundle.main.executableURL].compactMap {
            $0?.resolvingSymlinksInPath().deletingLastPathComponent().path
        }
        return folders.isEmpty ? ["."] : folders
    }

    /// The file that this code was loaded from, by the system's list of mapped memory (nil where there is none). The
    /// loader's own name for it need not be a path.
    private static var image: String? {
        let address = UInt(bitPattern: #dsohandle)
        // Read to its end: the system says that such files have no length.
        let maps = try? FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd()
        let line = String(decoding: maps ?? Data(), as: UTF8.self).split(separator: "\n").first { line in
            let ends = line.prefix { $0 != " " }.split(separator: "-").map { UInt($0, radix: 16) ?? 0 }
            return ends.count == 2 && ends[0] <= address && address < ends[1]
        }
        // from-to, rights, offset, device, inode, path
        let fields = line?.split(separator: " ", maxSplits: 5) ?? []
        return fields.count == 6 ? fields[5].drop { $0 == " " }.description : nil
    }
}
