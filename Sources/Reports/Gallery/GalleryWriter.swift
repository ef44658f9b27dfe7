import Files
import Foundation
import Pictures

/// Writes a gallery: static files that open from the file system, without server or network.
///
/// A page opened as a file may not fetch other files, but it may load scripts. So the data of each feature are a small
/// script that hands its JSON over when the page asks for it, and the same JSON as a file for other programs:
///
///     index.html, gallery.css, gallery.js
///     data/index.js, data/index.json               one row per feature, by columns
///     data/LAYER/SPACE/INDEX.js, ….json            one feature
///     pictures/…                                   what the pages refer to
public final class GalleryWriter {
    public let folder: String
    private var rows: [FeaturePage] = []
    private var measureNames: [String] = []

    /// - Throws: `SimpleFailure(.cannotWrite)`.
    public init(folder: String) throws {
        self.folder = folder
        try OutputFile.makeFolder(folder + "/data")
    }

    /// Writes one feature's data. Pages are shown in the order in which they are added.
    ///
    /// - Throws: `FileFailure.cannotWrite`.
    public func add(_ page: FeaturePage) throws {
        let name = "data/\(page.layer)/\(page.space)/\(page.index)"
        try OutputFile.makeFolder(folder + "/data/\(page.layer)/\(page.space)")
        try page.json.write(to: "\(folder)/\(name).json", overwrite: true)
        let call = "lvo.feature(\(JSON.string(page.key).serialized()),\(page.json.serialized()),"
            + "\(page.charts.serialized()));\n"
        try write(call, to: name + ".js")
        for measure in page.measures where !measureNames.contains(measure.name) { measureNames.append(measure.name) }
        var row = FeaturePage(layer: page.layer, space: page.space, index: page.index)
        (row.words, row.peaks, row.measures) = (page.words, page.peaks, page.measures)
        (row.clarity, row.doubts) = (page.clarity, page.doubts)
        (row.thumbnail, row.dreamThumbnail) = (page.thumbnail, page.dreamThumbnail)
        // The index tells whether there are dreams; the dreams themselves stay on their page.
        row.timesteps = page.dreams.map(\.timestep)
        rows.append(row)
    }

    /// Writes the index and the pages.
    ///
    /// - Parameters:
    ///   - facts: what the study was made of: model, layers, settings; shown as they are.
    ///   - summary: tables of measures.
    /// - Throws: `FileFailure.cannotWrite`.
    public func finish(title: String, facts: JSON, summary: [SummaryTable]) throws {
        let index = indexJSON(title: title, facts: facts, summary: summary)
        try index.write(to: folder + "/data/index.json", overwrite: true)
        try write("lvo.index(\(index.serialized()));\n", to: "data/index.js")
        try write(PackageResources.gallery_css, to: "gallery.css")
        try write(PackageResources.gallery_js, to: "gallery.js")
        let page = String(decoding: PackageResources.index_html, as: UTF8.self)
        try write(page.replacing("{{title}}", with: Text.htmlEscaped(title)), to: "index.html")
    }

    private func indexJSON(title: String, facts: JSON, summary: [SummaryTable]) -> JSON {
        var sites: [String] = []
        var siteOf: [String: Int] = [:]
        let places = rows.map { row -> Int in
            let site = "\(row.layer)/\(row.space)"
            if let known = siteOf[site] { return known }
            siteOf[site] = sites.count
            sites.append(site)
            return sites.count - 1
        }
        let measures = measureNames.map { name -> (String, JSON) in
            let values = rows.map { row in row.measures.first { $0.name == name }?.value }
            return (name, .array(values.map { $0.map { JSON.float(Float($0)) } ?? .null }))
        }
        return [
            "format": 1, "title": .string(title), "facts": facts, "sites": .array(sites.map(JSON.string)),
            "summary": .array(summary.map(\.json)),
            "columns": [
                "site": .array(places.map(JSON.integer)), "index": .array(rows.map { .integer($0.index) }),
                "words": .array(rows.map { .string($0.words.joined(separator: " ")) }),
                "peaks": .array(rows.map { .array($0.peaks.map(JSON.integer)) }),
                "dreams": .array(rows.map { .array($0.timesteps.map(JSON.integer)) }),
                "clarity": .array(rows.map { $0.clarity.map { JSON.float(Float($0)) } ?? .null }),
                "doubts": .array(rows.map { .array($0.doubts.map(JSON.string)) }),
                "thumbnail": .array(rows.map { $0.thumbnail.map(JSON.string) ?? .null }),
                "dream_thumbnail": .array(rows.map { $0.dreamThumbnail.map(JSON.string) ?? .null }),
                "measures": JSON(measures),
            ],
        ]
    }

    private func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    private func write(_ bytes: [UInt8], to name: String) throws {
        let file = try OutputFile(path: "\(folder)/\(name)", overwrite: true)
        try file.write(bytes)
        try file.commit()
    }
}

/// Medians and spread of measures, a row per measure and a group of columns per kind of target.
public struct SummaryTable: Sendable {
    public struct Cell: Sendable {
        public let median: Double?
        public let lower: Double?
        public let upper: Double?
        public let count: Int

        public init(median: Double?, lower: Double?, upper: Double?, count: Int) {
            self.median = median
            self.lower = lower
            self.upper = upper
            self.count = count
        }
    }

    public let title: String
    public let columns: [String]
    public let rows: [(name: String, cells: [Cell])]

    public init(title: String, columns: [String], rows: [(name: String, cells: [Cell])]) {
        self.title = title
        self.columns = columns
        self.rows = rows
    }

    public var json: JSON {
        func number(_ value: Double?) -> JSON { value.map { JSON.float(Float($0)) } ?? .null }
        return [
            "title": .string(title), "columns": .array(columns.map(JSON.string)),
            "rows": .array(
                rows.map { row in
                    [
                        "name": .string(row.name),
                        "cells": .array(
                            row.cells.map { cell in
                                [
                                    "median": number(cell.median), "lower_quartile": number(cell.lower),
                                    "upper_quartile": number(cell.upper), "count": .integer(cell.count),
                                ]
                            }),
                    ]
                }),
        ]
    }
}
