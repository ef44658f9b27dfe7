/// A channel's activity over all time steps 0…1000, from its counts at the observed ones.
///
/// Frequencies are interpolated linearly between observed steps and are 0 outside their range. Everything here is
/// decided on the integer counts, so that no rounding can make or break a tie.
public struct ActivityProfile: Sendable, Equatable {
    /// Observed time steps, ascending.
    public let timesteps: [Int]
    /// How often the channel was active at each.
    public let counts: [Int]
    /// The last time step there is.
    public let last: Int

    public init(timesteps: [Int], counts: [Int], last: Int = 1000) {
        precondition(timesteps.count == counts.count, "\(timesteps.count) time steps, \(counts.count) counts")
        self.timesteps = timesteps
        self.counts = counts
        self.last = last
    }

    /// The interpolated count at a time step.
    public func value(at timestep: Int) -> Double {
        guard let upper = timesteps.firstIndex(where: { $0 >= timestep }) else { return 0 }
        if timesteps[upper] == timestep { return Double(counts[upper]) }
        guard upper > 0 else { return 0 }
        let (a, b) = (timesteps[upper - 1], timesteps[upper])
        let weight = Double(timestep - a) / Double(b - a)
        return Double(counts[upper - 1]) * (1 - weight) + Double(counts[upper]) * weight
    }

    /// Time steps in 0…`last` at which the interpolated frequency is above 0.
    public var activeTimesteps: [Int] {
        guard let first = timesteps.first, let final = timesteps.last else { return [] }
        return (max(first, 0)...max(min(final, last), first)).filter { value(at: $0) > 0 }
    }

    /// The highest local maxima, highest first (equal: the earlier time step first).
    ///
    /// A run of equal positive counts whose outside neighbours are both lower counts once, at the middle of the run
    /// rounded down; the ends of 0…`last` are never peaks. Maxima are kept by height (equal: the later first) unless
    /// one kept is closer than `separation`. That is scipy's `find_peaks(height=0, distance=separation,
    /// plateau_size=1)` with its unstable ties settled.
    public func peaks(separation: Int = 100, limit: Int = 3) -> [Int] {
        var kept: [(timestep: Int, count: Int)] = []
        let candidates = maxima.sorted { ($1.count, $1.timestep) < ($0.count, $0.timestep) }
        for candidate in candidates where kept.allSatisfy({ abs($0.timestep - candidate.timestep) >= separation }) {
            kept.append(candidate)
        }
        return kept.sorted { ($1.count, $0.timestep) < ($0.count, $1.timestep) }.prefix(limit).map(\.timestep)
    }

    /// Time steps halfway between neighbouring peaks; of a single peak, halfway from it to the first and to the last time
    /// step of its activity, where these are at least `separation` away from it, as peaks are from each other.
    public func between(_ peaks: [Int], separation: Int = 100) -> [Int] {
        let active = activeTimesteps
        let marks = peaks.count == 1 ? [active.first ?? peaks[0], peaks[0], active.last ?? peaks[0]] : peaks.sorted()
        return zip(marks, marks.dropFirst()).filter { $1 - $0 >= separation }.map { ($0 + $1) / 2 }
    }

    private var maxima: [(timestep: Int, count: Int)] {
        var result: [(timestep: Int, count: Int)] = []
        var start = 0
        while start < counts.count {
            let end = counts[start...].firstIndex { $0 != counts[start] } ?? counts.count
            let before = start > 0 ? counts[start - 1] : 0
            let after = end < counts.count ? counts[end] : 0
            let inside = timesteps[start] > 0 && timesteps[end - 1] < last
            if inside && counts[start] > before && counts[start] > after {
                result.append(((timesteps[start] + timesteps[end - 1]) / 2, counts[start]))
            }
            start = end
        }
        return result
    }
}
