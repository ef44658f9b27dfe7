import Ops
import Tensors

/// The activations of a batch that are not left out: (token, feature, value), ordered by token and by feature within
/// a token, and listed by feature too, with the tokens ascending. Every sum over them runs in one of these orders,
/// whatever the order in which they were found.
public struct SparseCodes: Sendable {
    /// Entries in all.
    public let count: Int
    /// Tokens of the batch, n.
    public let tokens: Int
    /// Features, `L`.
    public let numLatents: Int
    /// `tokenStart[t] ..< tokenStart[t + 1]`: the entries of token t.
    let tokenStart: Scratch<Int>
    let features: Scratch<UInt32>
    let values: Scratch<Float>
    /// The loss's derivative with respect to the pre-activation; filled in on the way back.
    let slopes: Scratch<Float>
    /// `featureStart[f] ..< featureStart[f + 1]`: places in `entries` and `entryTokens` of feature f.
    let featureStart: Scratch<Int>
    let entries: Scratch<UInt32>
    let entryTokens: Scratch<UInt32>

    init(keys: SelectedKeys, tokens: Int, numLatents: Int, engine: Engine) {
        count = keys.count
        self.tokens = tokens
        self.numLatents = numLatents
        features = Scratch(count, engine)
        values = Scratch(count, engine)
        slopes = Scratch(count, engine)
        entries = Scratch(count, engine)
        entryTokens = Scratch(count, engine)
        tokenStart = Self.fillByToken(keys, tokens, numLatents, (features, values), engine)
        featureStart = Self.listByFeature(tokenStart, features, tokens, numLatents, (entries, entryTokens), engine)
    }

    /// Activations that are given, in any order.
    ///
    /// - Precondition: tokens and features are in range, and `tokens` · `numLatents` < 2³².
    package init(
        _ entries: [(token: Int, feature: Int, value: Float)], tokens: Int, numLatents: Int, engine: Engine
    ) {
        let keys = Scratch<UInt64>(entries.count, engine)
        for (place, entry) in entries.enumerated() {
            let index = UInt32(entry.token * numLatents + entry.feature)
            keys.pointer[place] = UInt64(entry.value.bitPattern) << 32 | UInt64(~index)
        }
        self.init(
            keys: SelectedKeys(keys: keys, count: entries.count), tokens: tokens, numLatents: numLatents, engine: engine)
    }

    private init(_ codes: SparseCodes, keys: SelectedKeys, engine: Engine) {
        self.init(keys: keys, tokens: codes.tokens, numLatents: codes.numLatents, engine: engine)
    }

    func token(_ token: Int) -> Range<Int> { tokenStart.pointer[token]..<tokenStart.pointer[token + 1] }
    func feature(_ feature: Int) -> Range<Int> { featureStart.pointer[feature]..<featureStart.pointer[feature + 1] }

    /// Features and values of one token, features ascending.
    public func entries(of token: Int) -> [(feature: Int, value: Float)] {
        precondition((0..<tokens).contains(token), "token \(token) of \(tokens)")
        return self.token(token).map { (Int(features.pointer[$0]), values.pointer[$0]) }
    }

    /// The largest `keep` entries of every `tokensPerGroup` tokens, by the rule by which these were selected.
    func largest(_ keep: Int, tokensPerGroup: Int, engine: Engine) -> SparseCodes {
        let size = min(tokensPerGroup, tokens)
        let groups = (tokens + size - 1) / size
        let keys = Scratch<UInt64>(count, engine)
        let counts = Scratch<Int>(groups, engine)
        engine.threads.forEach(groups) { group, _ in
            let (first, last) = (group * size, min(tokens, (group + 1) * size))
            let range = tokenStart.pointer[first]..<tokenStart.pointer[last]
            for token in first..<last {
                for entry in self.token(token) {
                    let index = UInt32(token * numLatents) + features.pointer[entry]
                    keys.pointer[entry] = UInt64(values.pointer[entry].bitPattern) << 32 | UInt64(~index)
                }
            }
            counts.pointer[group] = min(keep, range.count)
            if range.count > keep { _ = keepLargest(keys.pointer + range.lowerBound, range.count, keep) }
        }
        var filled = 0
        for group in 0..<groups {
            let start = tokenStart.pointer[group * size]
            (keys.pointer + filled).update(from: keys.pointer + start, count: counts.pointer[group])
            filled += counts.pointer[group]
        }
        return SparseCodes(self, keys: SelectedKeys(keys: keys, count: filled), engine: engine)
    }

    /// Counting sort by token, then each token's keys by feature.
    private static func fillByToken(
        _ keys: SelectedKeys, _ tokens: Int, _ numLatents: Int,
        _ target: (features: Scratch<UInt32>, values: Scratch<Float>), _ engine: Engine
    ) -> Scratch<Int> {
        let latents = UInt32(numLatents)
        let sorted = Scratch<UInt64>(keys.count, engine)
        let start = countingSort(items: keys.count, buckets: tokens, engine: engine) { range, visit in
            for item in range {
                let key = keys.keys.pointer[item]
                let (token, feature) = (~UInt32(truncatingIfNeeded: key)).quotientAndRemainder(dividingBy: latents)
                // Feature above value, so that plain integer order within a token is the order of features.
                visit(Int(token), UInt64(feature) << 32 | key >> 32)
            }
        } place: { payload, position in
            sorted.pointer[position] = payload
        }
        engine.threads.forRanges(tokens, grain: 64) { range, _ in
            for token in range {
                let entries = start.pointer[token]..<start.pointer[token + 1]
                var run = UnsafeMutableBufferPointer(
                    start: sorted.pointer + entries.lowerBound, count: entries.count)
                run.sort()
                for entry in entries {
                    let pair = sorted.pointer[entry]
                    target.features.pointer[entry] = UInt32(pair >> 32)
                    target.values.pointer[entry] = Float(bitPattern: UInt32(truncatingIfNeeded: pair))
                }
            }
        }
        return start
    }

    private static func listByFeature(
        _ tokenStart: Scratch<Int>, _ features: Scratch<UInt32>, _ tokens: Int, _ numLatents: Int,
        _ target: (entries: Scratch<UInt32>, tokens: Scratch<UInt32>), _ engine: Engine
    ) -> Scratch<Int> {
        countingSort(items: tokens, buckets: numLatents, engine: engine) { range, visit in
            for token in range {
                for entry in tokenStart.pointer[token]..<tokenStart.pointer[token + 1] {
                    visit(Int(features.pointer[entry]), UInt64(token) << 32 | UInt64(entry))
                }
            }
        } place: { payload, position in
            target.entries.pointer[position] = UInt32(truncatingIfNeeded: payload)
            target.tokens.pointer[position] = UInt32(payload >> 32)
        }
    }
}
