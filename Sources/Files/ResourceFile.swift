import Foundation

/// Files that come with the program: folders `lvo_MODULE.resources` beside the executable, where the build puts them and
/// a package keeps them.
public enum ResourceFile {
    /// The path of a resource. `Bundle.module` is not used: it ends the process where it finds nothing.
    ///
    /// - Parameters:
    ///   - module: whose resource it is.
    ///   - what: it is, for the message.
    /// - Throws: `SimpleFailure(.missingInput)` naming the path.
    public static func path(_ name: String, module: String, what: String) throws -> String {
        let bundle = "lvo_\(module).resources"
        let executable = Bundle.main.executableURL?.resolvingSymlinksInPath()
        let path = "\(executable?.deletingLastPathComponent().path ?? ".")/\(bundle)/Resources/\(name)"
        guard FileManager.default.fileExists(atPath: path) else {
            throw SimpleFailure(.missingInput, "\(path): \(what) is not there; keep \(bundle) beside the executable")
        }
        return path
    }
}
