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
