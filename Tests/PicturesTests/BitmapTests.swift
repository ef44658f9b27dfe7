import Pictures
import Tensors
import Testing

@Suite struct BitmapTests {
    @Test func unitRangeClampsAndRounds() {
        let image = Tensor([1, 1, 2, 3], [-1, 0, 1, -3, 2, .nan])
        #expect(Bitmap.pictures(image)[0].pixels == [0, 128, 255, 0, 255, 0])
    }

    @Test func stretchTakesOneRangeForTheBatch() {
        let images = Tensor([2, 1, 1, 3], [0, 1, 2, 2, 3, 4])
        let pictures = Bitmap.pictures(images, range: .stretch)
        #expect(pictures.map(\.pixels) == [[0, 64, 128], [128, 191, 255]])
        #expect(Bitmap.pictures(Tensor([1, 1, 3], [7, 7, 7]), range: .stretch)[0].pixels == [255, 255, 255])
    }

    @Test func tensorAndBackIsTheSame() {
        let picture = gradient(width: 16, height: 16)
        #expect(picture.tensor().shape == [1, 16, 16, 3])
        #expect(Bitmap.pictures(picture.tensor()) == [picture])
    }

    @Test func shrinkingAveragesAndWholeFactorsRepeat() {
        let picture = Bitmap(width: 2, height: 2, pixels: [0, 0, 0, 100, 0, 0, 0, 200, 0, 100, 200, 40])
        #expect(picture.resized(width: 1, height: 1).pixels == [50, 100, 10])
        let large = picture.enlarged(by: 3)
        #expect((large.width, large.height) == (6, 6))
        #expect(large.resized(width: 2, height: 2) == picture)
        #expect(large.pixels[0..<3] == [0, 0, 0] && large.pixels[9..<12] == [100, 0, 0])
        let odd = gradient(width: 10, height: 7).resized(width: 3, height: 4)
        #expect((odd.width, odd.height) == (3, 4))
    }

    @Test func drawingCutsAtTheEdges() {
        var canvas = Bitmap(width: 4, height: 4, red: 9, green: 9, blue: 9)
        canvas.draw(Bitmap(width: 3, height: 3, red: 1, green: 2, blue: 3), x: -1, y: 2)
        let red = (0..<16).map { canvas.pixels[$0 * 3] }
        #expect(red == [9, 9, 9, 9, 9, 9, 9, 9, 1, 1, 9, 9, 1, 1, 9, 9])
        canvas.draw(gradient(width: 2, height: 2), x: 40, y: -40)
        #expect((0..<16).map { canvas.pixels[$0 * 3] } == red)
    }

    @Test func aSheetHoldsItsPicturesAndLabels() {
        let picture = gradient(width: 20, height: 10)
        let plain = ContactSheet([.init(picture), .init(picture), .init(picture)], columns: 2, gap: 4)
        let sheet = plain.draw()
        #expect((sheet.width, sheet.height) == (4 + 2 * 24, 4 + 2 * 14))
        #expect(sheet.pixels[(4 * sheet.width + 4) * 3..<(4 * sheet.width + 4) * 3 + 60] == picture.pixels[0..<60])
        let labelled = ContactSheet([.init(picture, label: "A")], columns: 1, gap: 4).draw()
        // "A" has 16 dots in the built-in font: two strokes of five, a bar of three more, the roof of three.
        let dark = stride(from: 0, to: labelled.width * 3 * 14, by: 3).filter { labelled.pixels[$0] == 40 }
        #expect(dark.count == 16)
    }
}

@Suite struct AnimationTests {
    @Test func framesAreWrappedInOrder() throws {
        let frames = [gradient(width: 9, height: 6), Bitmap(width: 9, height: 6, red: 1, green: 2, blue: 3)]
        let bytes = try APNG.encode(frames, milliseconds: 80, lastMilliseconds: 900, text: [PNGText("k", "v")])
        // A reader without animation sees the first frame.
        #expect(try PNG.decode(bytes, name: "apng") == frames[0])
        #expect(try PNG.text(in: bytes, name: "apng") == [PNGText("k", "v")])
        let text = String(decoding: bytes, as: Unicode.ASCII.self)
        let types = ["acTL", "fcTL", "IDAT", "fcTL", "fdAT", "IEND"]
        var rest = text[...]
        for type in types {
            let range = try #require(rest.firstRange(of: type), "\(type) missing or out of order")
            rest = rest[range.upperBound...]
        }
    }
}

@Suite struct TerminalPreviewTests {
    @Test(arguments: [
        (["TERM": "xterm-kitty"], TerminalPreview.Mode.kitty), (["TERM": "foot"], .sixel),
        (["TERM": "xterm-256color", "COLORTERM": "truecolor"], .halfBlock), (["TERM": "xterm-256color"], .halfBlock256),
        ([:], .halfBlock256),
    ])
    func theEnvironmentDecides(environment: [String: String], mode: TerminalPreview.Mode) {
        #expect(TerminalPreview.mode(environment: environment) == mode)
    }

    @Test func halfBlocksPutTwoPixelsInACharacter() throws {
        let picture = Bitmap(width: 1, height: 2, pixels: [1, 2, 3, 200, 100, 0])
        #expect(
            try TerminalPreview.render(picture, mode: .halfBlock, columns: 80)
                == "\u{1B}[38;2;1;2;3;48;2;200;100;0m▀\u{1B}[0m\n")
        let wide = try TerminalPreview.render(gradient(width: 100, height: 50), mode: .halfBlock256, columns: 40)
        #expect(wide.filter { $0 == "▀" }.count == 40 * 10)
    }

    @Test func severalPicturesShareRows() throws {
        let picture = gradient(width: 64, height: 64)
        let text = try TerminalPreview.render([picture, picture, picture], mode: .halfBlock, columns: 80)
        // Two of 39 columns side by side with a gap of one, then the third.
        let lines = text.split(separator: "\n").map { line in line.filter { $0 == "▀" }.count }
        #expect(lines == Array(repeating: 79, count: 20) + Array(repeating: 39, count: 20))
        let sixels = try TerminalPreview.render([picture, picture], mode: .sixel, columns: 80)
        #expect(sixels.hasPrefix("\u{1B}Pq\"1;1;392;192"))
    }

    @Test func sixelsCoverTheBand() throws {
        let white = Bitmap(width: 3, height: 6, red: 255, green: 255, blue: 255)
        let text = try TerminalPreview.render(white, mode: .sixel, columns: 80)
        #expect(text == "\u{1B}Pq\"1;1;3;6#215;2;100;100;100#215~~~$-\u{1B}\\\n")
    }

    @Test func kittyCarriesThePNG() throws {
        // Pixels that do not compress, so that one message of 4096 characters is not enough.
        var state: UInt32 = 1
        let pixels = (0..<80 * 80 * 3).map { _ -> UInt8 in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        let noise = Bitmap(width: 80, height: 80, pixels: pixels)
        let text = try TerminalPreview.render(noise, mode: .kitty, columns: 80)
        #expect(text.hasPrefix("\u{1B}_Gf=100,a=T,m=1;iVBORw0KGgo"))
        #expect(text.contains("\u{1B}_Gm=0;"))
    }
}
