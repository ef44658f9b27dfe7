import Files
import Pictures

/// Where in pictures a feature is active, at several time steps: maps of activations as small pictures.
public struct HeatMaps: Sendable {
    /// One picture of all maps, a column for each picture and a row for each time step, relative to the gallery.
    public var picture: String
    /// Per time step, the activations that the darkest and the brightest colour stand for.
    public var ranges: [ClosedRange<Float>]

    public init(picture: String, ranges: [ClosedRange<Float>]) {
        self.picture = picture
        self.ranges = ranges
    }

    var json: JSON {
        [
            "picture": .string(picture), "lowest": FeaturePage.floats(ranges.map(\.lowerBound)),
            "largest": FeaturePage.floats(ranges.map(\.upperBound)),
        ]
    }

    /// From `lowest`, or else the smallest value, to the largest; what is not finite is left out.
    public static func range(_ values: [Float], lowest: Float?) -> ClosedRange<Float> {
        let finite = values.filter(\.isFinite)
        let low = lowest ?? finite.min() ?? 0
        return low...max(low, finite.max() ?? low)
    }

    /// A map in colours: black, purple, red, orange, light yellow. Everything is black where the range is empty.
    public static func bitmap(_ values: [Float], width: Int, range: ClosedRange<Float>) -> Bitmap {
        let extent = range.upperBound - range.lowerBound
        let pixels = values.flatMap { color(extent > 0 ? ($0 - range.lowerBound) / extent : 0) }
        return Bitmap(width: width, height: values.count / width, pixels: pixels)
    }

    private static let stops: [[Float]] = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]

    /// Linear between the stops, for shares from 0 to 1.
    private static func color(_ share: Float) -> [UInt8] {
        let place = (share.isFinite ? min(max(share, 0), 1) : 0) * Float(stops.count - 1)
        let lower = min(Int(place), stops.count - 2)
        return zip(stops[lower], stops[lower + 1]).map { UInt8(($0 + (place - Float(lower)) * ($1 - $0)).rounded()) }
    }
}
