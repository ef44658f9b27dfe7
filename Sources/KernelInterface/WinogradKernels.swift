/// Winograd's minimal filtering F(m×m, 3×3), m = `outputSize` (2 or 4), p = m + 2 points a side:
///
///     Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A       (Lavin & Gray, arXiv 1509.09308)
///
/// summed over input channels, so that the ⊙ becomes p² independent products `[tiles, C] · [C, panelWidth]` on the
/// register tile of `GemmKernels`. An m×m output tile then takes p² multiplications a channel instead of 9m²: a quarter
/// for F(4×4), 4/9 for F(2×2).
public struct WinogradKernels: Sendable {
    /// m: pixels of an output tile's side.
    public let outputSize: Int
    /// p² = (m + 2)²: products a tile.
    public let elements: Int

    public typealias Filter = @Sendable (
        _ taps: UnsafePointer<Float>, _ tapStride: Int, _ depth: Int, _ out: UnsafeMutablePointer<Float>,
        _ elementStride: Int
    ) -> Void
    public typealias FilterHalf = @Sendable (
        _ taps: UnsafePointer<UInt16>, _ tapStride: Int, _ depth: Int, _ out: UnsafeMutablePointer<Float>,
        _ elementStride: Int
    ) -> Void

    /// `out[e · elementStride + k · panelWidth + column] = (G g Gᵀ)[e]` with
    /// `g[r][s] = taps[(3r + s)·tapStride + k·panelWidth + column]` for k in
    /// `0..<depth`. A negative stride from the last tap turns the filter by 180°, as the gradient needs it.
    public let filter: Filter
    /// The same from half precision.
    public let filterHalf: FilterHalf

    public typealias Input = @Sendable (
        _ x: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ tiles: Int, _ depth: Int,
        _ scratch: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Float>, _ elementStride: Int
    ) -> Void

    /// `Bᵀ d B` of up to `tileRows` tiles, written as one packed row tile per element:
    /// `out[e · elementStride + k · tileRows + tile]`, k in `0..<depth` (a multiple of lanes), zeros for tiles beyond
    /// `tiles`. Pixel (i, j) of a tile starts at `x + offsets[tile · p² + p·i + j]`; negative means zero padding.
    /// `scratch`: `(tileRows + 1) · p² · lanes` floats.
    public let input: Input

    public typealias Output = @Sendable (
        _ products: UnsafePointer<Float>, _ elementStride: Int, _ columns: Int, _ y: UnsafeMutablePointer<Float>,
        _ offsets: UnsafePointer<Int>, _ bias: UnsafePointer<Float>?, _ sampleBias: UnsafePointer<Float>?,
        _ residual: UnsafePointer<Float>?
    ) -> Void

    /// `Aᵀ M A` of one tile: element e of its products at `products[e · elementStride + column]`, pixel (i, j) to
    /// `y + offsets[m·i + j]` (negative: outside the map, dropped), `columns` (a multiple of lanes) values each, plus
    /// bias and sampleBias per column and the residual at the pixel's offset, where given.
    public let output: Output

    public init(
        outputSize: Int, filter: @escaping Filter, filterHalf: @escaping FilterHalf,
        input: @escaping Input, output: @escaping Output
    ) {
        self.outputSize = outputSize
        elements = (outputSize + 2) * (outputSize + 2)
        self.filter = filter
        self.filterHalf = filterHalf
        self.input = input
        self.output = output
    }
}
