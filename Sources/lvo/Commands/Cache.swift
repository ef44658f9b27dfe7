import ArgumentParser
import Checkpoints
import Files
import Foundation
import StableDiffusion

struct Cache: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List or remove the packed weights that are kept between runs.",
        discussion: """
            Weights of large models are packed for the CPU once and kept in the folder `packed` of LVO_CACHE, else of \
            XDG_CACHE_HOME/lvo, else of ~/.cache/lvo. They may take LVO_CACHE_LIMIT, 20G unless set; those used longest ago \
            make room for new ones. LVO_CACHE_LIMIT=0 keeps none.
            """,
        subcommands: [CacheList.self, CachePrune.self, CacheClear.self], defaultSubcommand: CacheList.self)

    /// The files whatever limit is set.
    static var store: PackedStore { PackedStore(folder: CacheFolder.packFolder, limit: .max) }

    static func line(_ entry: PackedStore.Entry) -> String {
        func fact(_ name: String) -> String { entry.about?[name]?.string ?? "?" }
        let days = Int((Date().timeIntervalSince1970 - entry.lastUse) / 86400)
        let age = days == 0 ? "today" : "\(days) days ago"
        return Text.right(formatBytes(entry.bytes), 9) + "  used " + Text.left(age, 13) + Text.left(fact("network"), 14)
            + Text.left(fact("precision"), 5) + Text.left(fact("instruction_set"), 12) + fact("model")
    }

    static func say(removed: [PackedStore.Entry]) {
        for entry in removed { print("removed \(line(entry))") }
        print("\(formatBytes(removed.reduce(0) { $0 + $1.bytes })) removed from \(CacheFolder.packFolder)")
    }
}

struct CacheList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show each network's file: size, last use, precision, instruction set, model.")

    func run() throws {
        let (entries, limit) = (Cache.store.entries, try CacheFolder.packLimit())
        for entry in entries { print(Cache.line(entry)) }
        let sum = formatBytes(entries.reduce(0) { $0 + $1.bytes })
        print("\(sum) of \(formatBytes(limit)) in \(CacheFolder.packFolder)")
    }
}

struct CachePrune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove what was used longest ago until the rest fits.")

    @Option(help: ArgumentHelp("What may stay, as 5G. Default: LVO_CACHE_LIMIT, else 20G.", valueName: "size"))
    var limit: MemorySize?

    func run() throws { Cache.say(removed: Cache.store.prune(to: try limit?.bytes ?? CacheFolder.packLimit())) }
}

struct CacheClear: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "clear", abstract: "Remove all packed weights.")

    func run() { Cache.say(removed: Cache.store.prune(to: 0)) }
}
