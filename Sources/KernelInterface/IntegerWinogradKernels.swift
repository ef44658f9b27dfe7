/// F(4×4, 3×3) on integers of 16 bits, where a CPU multiplies pairs of them as fast as pairs of bfloat16 (VPDPWSSD).
///
/// The transforms are sums that bfloat16's 8 significant bits do not hold: they would multiply its rounding fivefold and
/// more. So every row (one element of a tile, a block of channels) and every column (one output, the same channels) is
/// scaled to the Euclidean length 32767 and rounded to integers. Rounded, a row of k integers is at most 32767 + ½√k long, so
/// by Cauchy and Schwarz no sum of products reaches 2³¹ for any depth below 7·10⁸, whatever the numbers, and no integer needs
/// more than 16 bits. Sums are exact; what is lost is the two roundings: with 128 channels some 1·10⁻⁴ of an input and
/// 3·10⁻⁴ of a filter. Rows and columns shorter than 10⁻¹⁹ count as zeros; of those longer than 10¹⁹, and of NaN or ∞, products
/// are not finite.
///
/// The points are 0, ±2/3, ±3/2, ∞ and not Lavin & Gray's 0, ±1, ±2, ∞: they multiply independent roundings by 4.8 in
/// place of 10.8 (root mean square over the outputs: Σᵢ A²ᵣᵢ ‖Gᵢ‖² ‖Bᵢ‖² / 3 for each axis; the least among pairs of
/// fractions up to 3/2). Rows of G have length 1, so that an element of the transformed filter is never longer than the
/// filter: one scale holds for a column of all elements. The columns of A are multiplied by what the rows of G were divided by.
///
/// A word is a pair of channels as in `BFloat16Kernels`, the even one in the low half. Behind the words of a row tile
/// stands one row more, `[tileRows]` scales, and behind those of a panel `[panelWidth]` scales, floats by which the
/// integers are to be multiplied: `words(depth)` rows in all.
public struct IntegerWinogradKernels: Sendable {
    /// m: pixels of an output tile's side.
    public static let outputSize = 4
    /// p² = (m + 2)²: products a tile.
    public static let elements = 36

    /// Rows of words for `depth` channels and their scales.
    public static func words(_ depth: Int) -> Int { depth / 2 + 1 }
    /// Floats of `input`'s scratch.
    public static func inputScratch(depth: Int, tileRows: Int, lanes: Int) -> Int {
        elements * (tileRows * depth + 2 * lanes)
    }

    public typealias Filter = @Sendable (
        _ taps: UnsafePointer<UInt32>, _ tapStride: Int, _ depth: Int, _ out: UnsafeMutablePointer<UInt32>,
        _ elementStride: Int
    ) -> Void

    /// `G g Gᵀ` of one panel of bfloat16 pairs (`BFloat16Kernels`), `[tap][pair of k][panelWidth]`, tapStride in pairs, as
    /// integers: element e in `[words(depth)][panelWidth]` at `out + e · elementStride`. `depth` is a multiple of 32. A
    /// negative stride from the last tap turns the filter by 180°, as the gradient needs it.
    public let filter: Filter

    public typealias Input = @Sendable (
        _ x: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ tiles: Int, _ depth: Int,
        _ scratch: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<UInt32>, _ elementStride: Int
    ) -> Void

    /// `Bᵀ d B` of up to `tileRows` tiles as integers: element e's row tile in `[words(depth)][tileRows]` at
    /// `out + e · elementStride`, zeros for tiles beyond `tiles`. `depth` is a multiple of 32, `offsets` as those of
    /// `WinogradKernels.input`. `scratch`: `inputScratch` floats.
    public let input: Input

    public typealias Multiply = @Sendable (
        _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ words: Int, _ panel: UnsafePointer<UInt32>,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    ) -> Void

    /// `C[rows, panelWidth] (+)= scale · A · B · scale` of row tiles and a panel of `words` rows (the scales' counted). Row
    /// tiles lie one behind the other.
    public let multiply: Multiply

    /// `Aᵀ M A`; arguments as those of `WinogradKernels.output`.
    public let output: WinogradKernels.Output

    public init(
        filter: @escaping Filter, input: @escaping Input, multiply: @escaping Multiply,
        output: @escaping WinogradKernels.Output
    ) {
        self.filter = filter
        self.input = input
        self.multiply = multiply
        self.output = output
    }
}
