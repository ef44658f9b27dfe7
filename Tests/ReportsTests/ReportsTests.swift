import Files
import Reports
import Testing
import TestSupport

@Suite struct LineChartTests {
    private func chart(_ values: [Double], title: String = "t") -> LineChart {
        LineChart(
            title: title, xLabel: "x", yLabel: "y",
            series: [.init(name: "s", points: values.enumerated().map { (Double($0.offset), $0.element) })])
    }

    @Test func theTextIsWellFormed() throws {
        let svg = chart([0, 2, 1], title: "a < b & \"c\"").svg()
        #expect(svg.hasPrefix("<svg") && svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("a < b"))
        #expect(svg.hasSuffix("</svg>\n"))
    }

    /// What is not finite interrupts the line and never reaches the text.
    @Test(arguments: [[1, .nan, 3, 4], [.nan], [], [.infinity, 1, 2], [5], [2, 2, 2]] as [[Double]])
    func oddValuesAreDrawn(values: [Double]) {
        let svg = chart(values).svg()
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }
}

@Suite struct GalleryWriterTests {
    @Test func pagesAreWrittenAsDataAndAsScripts() throws {
        let folder = try TemporaryFolder()
        let writer = try GalleryWriter(folder: folder.path)
        for index in [7, 3] {
            var page = FeaturePage(layer: "a.b", space: "features", index: index)
            page.words = ["red </script>"]
            try writer.add(page)
        }
        try writer.finish(title: "x < y", facts: ["model": "m"], summary: [])
        for name in ["index.html", "gallery.css", "gallery.js", "data/index.js", "data/a.b/features/7.js"] {
            #expect(FileSystem.isFile(folder.file(name)), "\(name)")
        }
        let index = try JSON.read(folder.file("data/index.json"))
        #expect(index["columns"]?["index"] == [7, 3])
        #expect(index["sites"] == ["a.b/features"])
        #expect(try JSON.read(folder.file("data/a.b/features/3.json"))["words"] == ["red </script>"])
        let html = String(decoding: try folder.bytes("index.html"), as: UTF8.self)
        #expect(html.contains("x &lt; y") && !html.contains("{{title}}"))
    }
}

@Suite struct HeatMapTests {
    @Test func coloursRunOverTheRange() {
        let range = HeatMaps.range([0.5, 2, .nan, 1], lowest: nil)
        #expect(range == 0.5...2 && HeatMaps.range([0.5, 2], lowest: 0) == 0...2)
        let picture = HeatMaps.bitmap([0.5, 2, 1.25, .nan, 9, -9], width: 3, range: range)
        #expect(picture.width == 3 && picture.height == 2)
        let pixels = (0..<6).map { Array(picture.pixels[$0 * 3..<$0 * 3 + 3]) }
        #expect(pixels == [[0, 0, 4], [252, 255, 164], [188, 55, 84], [0, 0, 4], [252, 255, 164], [0, 0, 4]])
    }

    @Test func nothingActiveIsBlack() {
        let range = HeatMaps.range([0, 0], lowest: 0)
        #expect(range == 0...0 && HeatMaps.range([], lowest: nil) == 0...0)
        #expect(HeatMaps.bitmap([0, 0], width: 2, range: range).pixels == [0, 0, 4, 0, 0, 4])
    }
}
