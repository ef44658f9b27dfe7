import Files
import Tensors

/// Tokens of stores, read by mapping in a random order, without end.
///
/// The files of several stores stand in one row: the first file of each store, then the second of each, and so on. An epoch
/// goes through the row window by window; within a window tokens come in random order, another one in each epoch. In the
/// first epoch the windows follow the row; in later ones files are assigned to windows at random. Without a window all
/// files are one.
///
/// What comes depends on the stores, the seed and the window alone: a source that waits for files while they are being
/// written gives the batches that it would give had they all been there.
///
/// A batch costs the pages its tokens and their checksums are on, wherever they are in the window; those of the next batch
/// are asked for in advance. Nothing is read but what is used.
public final class StoreSource: ActivationSource {
    /// Channels of a token, `D`.
    public let width: Int
    /// Tokens of one map.
    public let positions: Int
    /// The stores' origins, and the window if it is not everything.
    public let origin: JSON
    private let row: [(store: ActivationStore, file: Int)]
    private let order: ReadingOrder
    private let group: Int
    private let wait: ((_ missing: String) throws -> Void)?
    private var window: StoreWindow?
    /// Groups that were read.
    private var drawn = 0
    /// Up to where the system was asked to read in advance.
    private var asked = 0

    /// - Parameters:
    ///   - stores: of one layer; at least one.
    ///   - keepsSamples: maps stay whole, for rules that select per sample.
    ///   - window: files that are mixed with one another; nil: all.
    ///   - wait: called with the path of a file that is wanted and not there yet, again and again until it is or `wait`
    ///     throws; nil: missing files are refused.
    /// - Throws: `SimpleFailure(.badData)` for stores whose maps have other sizes; `.missingInput` for missing files.
    public init(
        _ stores: [ActivationStore], keepsSamples: Bool, seed: UInt64, window: Int? = nil,
        wait: ((_ missing: String) throws -> Void)? = nil
    ) throws {
        precondition(!stores.isEmpty && window ?? 1 > 0, "\(stores.count) stores, window of \(window ?? 1) files")
        (width, positions) = (stores[0].width, stores[0].positions)
        for store in stores where (store.width, store.positions) != (width, positions) {
            throw SimpleFailure(
                .badData, "\(store.folders[0]): maps of \(store.positions) × \(store.width); those of "
                    + "\(stores[0].folders[0]) have \(positions) × \(width)")
        }
        if wait == nil { for store in stores { try store.requireComplete() } }
        let most = stores.map(\.filesInAll).max() ?? 0
        row = (0..<most).flatMap { file in stores.filter { file < $0.filesInAll }.map { ($0, file) } }
        order = ReadingOrder(files: row.count, window: window, seed: seed)
        group = keepsSamples ? positions : 1
        self.wait = wait
        origin = Self.origin(stores, order)
    }

    private static func origin(_ stores: [ActivationStore], _ order: ReadingOrder) -> JSON {
        let origins = stores.map(\.origin)
        let pictures: JSON =
            stores.count == 1 ? origins[0] : ["model": origins[0]["model"] ?? .null, "stores": .array(origins)]
        return order.isWhole
            ? pictures
            : ["pictures": pictures, "files": .integer(order.files), "window_files": .integer(order.window)]
    }

    /// Never nil.
    ///
    /// - Throws: `SimpleFailure(.usage)` if `count` is not a multiple of a sample that stays whole; `FileFailure` for a
    ///   damaged file; what `wait` throws. Nothing is then taken.
    public func next(_ count: Int) throws -> Tensor? {
        guard count % group == 0 else {
            throw SimpleFailure(.usage, "batch of \(count) tokens: not a multiple of the \(group) of a sample")
        }
        let batch = Tensor([count, width])
        let last = drawn + count / group
        var window = try self.window ?? open(at: drawn)
        prefetch(to: last, window)
        for place in drawn..<last {
            while place >= window.end { window = try open(window.number + 1, first: window.end, after: window) }
            let (file, token) = window.locate(place)
            try file.copyTokens(from: token, count: group, to: batch.pointer + (place - drawn) * group * width)
        }
        (self.window, drawn) = (window, last)
        prefetch(to: last + count / group, window)
        return batch
    }

    /// Asks for what will be read of a window up to a place, unless that was done.
    private func prefetch(to place: Int, _ window: StoreWindow) {
        let end = min(place, window.end)
        for place in max(asked, window.first, drawn)..<max(asked, window.first, drawn, end) {
            let (file, token) = window.locate(place)
            file.prefetch(token, count: group)
        }
        asked = max(asked, end)
    }

    /// The window in which a place is.
    private func open(at place: Int) throws -> StoreWindow {
        var window = try open(0, first: 0, after: nil)
        while place >= window.end {
            if window.number + 1 == order.windowsPerEpoch {
                // The end of the first epoch is the length of all.
                let epochs = place / window.end
                window = try open(epochs * order.windowsPerEpoch, first: epochs * window.end, after: window)
            } else {
                window = try open(window.number + 1, first: window.end, after: window)
            }
        }
        return window
    }

    private func open(_ number: Int, first: Int, after previous: StoreWindow?) throws -> StoreWindow {
        var files: [Int: ActivationFile] = [:]
        for index in order.files(of: number) { files[index] = try previous?.files[index] ?? open(index) }
        return StoreWindow(number: number, first: first, files: files, group: group, order: order)
    }

    private func open(_ index: Int) throws -> ActivationFile {
        let (store, file) = row[index]
        while let wait, !store.has(file: file) { try wait(store.path(file: file)) }
        let opened = try store.open(file: file)
        opened.expectRandomAccess()
        return opened
    }

    /// How many groups were read, and of how many tokens if a window is everything.
    public var state: SourceState {
        SourceState(json: JSON([("drawn", .integer(drawn))] + (tokensInAll.map { [("of", .integer($0))] } ?? [])))
    }

    /// Throws `SimpleFailure(.badData)` for a place in stores of another size; as `next`.
    public func restore(_ state: SourceState) throws {
        guard let drawn = state.json["drawn"]?.int, drawn >= 0 else { throw Self.noPlace }
        window = try open(at: drawn)
        // Before the first batch the number of tokens was not known.
        if let tokens = state.json["of"]?.int, tokens != tokensInAll { throw Self.noPlace }
        (self.drawn, asked) = (drawn, drawn)
    }

    private static let noPlace = SimpleFailure(
        .badData, "checkpoint: no place in the activations, or one in a store of another size")

    private var tokensInAll: Int? { order.isWhole ? window.map { $0.count * group } : nil }
}
