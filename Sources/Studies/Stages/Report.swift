import Files
import Foundation
import Pictures
import Reports
import Visualization
import WorkUnits

/// Puts everything that is there into a gallery, `report/`: whole or not at all, and self-contained, so that the folder
/// can be copied elsewhere.
public struct Report {
    let study: Study
    let folder: String
    private let dreams: DreamStage
    private let priors: PriorStage
    private let capture: CaptureStage
    private let writer: GalleryWriter
    private let pictures: GalleryPictures

    /// Writes the gallery and returns the path of its first page.
    ///
    /// - Throws: `SimpleFailure`: `.stoppedEarly` without an analysis, `.cannotWrite`.
    public static func write(_ study: Study) throws -> String {
        let place = "\(study.folder)/report"
        let temporary = "\(study.folder)/.report.\(Host.tag).tmp"
        try? FileManager.default.removeItem(atPath: temporary)
        do {
            try Report(study, folder: temporary).write()
            try install(temporary, at: place)
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw error
        }
        return place + "/index.html"
    }

    /// Two names cannot be exchanged in one step everywhere, so a reader may find no gallery for a moment, and another
    /// process may put its own, equal one there first.
    private static func install(_ temporary: String, at place: String) throws {
        for _ in 0..<100 {
            if rename(temporary, place) == 0 { return }
            guard errno == ENOTEMPTY || errno == EEXIST else { break }
            let old = temporary + ".old"
            if rename(place, old) == 0 { try? FileManager.default.removeItem(atPath: old) }
        }
        throw FileFailure.cannotWrite(file: place, reason: systemError())
    }

    private init(_ study: Study, folder: String) throws {
        self.study = study
        self.folder = folder
        dreams = DreamStage(study: study)
        priors = PriorStage(study: study)
        capture = CaptureStage(study: study)
        writer = try GalleryWriter(folder: folder)
        pictures = GalleryPictures(gallery: folder)
    }

    private func write() throws {
        let all = try study.subjects()
        let (chosen, directions) = (Set(all), DreamDirections(study: study))
        var summaries: [SummaryTable] = []
        var rows: [[ContactSheet.Cell?]] = []
        for layer in study.settings.layers {
            var tables = MeasureTables(layer: layer)
            for site in study.sites where site.layer == layer {
                let analysis = try study.analysis(site)
                let words = try ExampleWords(study, site)
                for index in 0..<analysis.channels {
                    let subject = Subject(site: site, index: index)
                    guard analysis.isLive(index) || chosen.contains(subject) else { continue }
                    var page = try page(subject, analysis, words, isChosen: chosen.contains(subject))
                    let constancy = page.dreams.isEmpty ? [] : try directions.constancy(of: subject, among: all)
                    page.measures += constancy
                    try writer.add(page)
                    tables.add(constancy, site.space)
                    for dream in page.dreams { tables.add(dream, site.space) }
                    if !page.dreams.isEmpty, let row = try sheetRow(page) { rows.append(row) }
                }
            }
            summaries += tables.tables
        }
        if !rows.isEmpty {
            let sheet = ContactSheet(rows: rows, title: study.settings.title).draw()
            try PNG.write(sheet, to: folder + "/sheet.png")
        }
        let title = study.settings.title.isEmpty ? "\(study.model.name): what its layers look for" : study.settings.title
        try writer.finish(title: title, facts: facts, summary: summaries)
    }

    private func page(
        _ subject: Subject, _ analysis: SiteAnalysis, _ words: ExampleWords, isChosen: Bool
    ) throws -> FeaturePage {
        let site = subject.site
        var page = FeaturePage(layer: site.layer, space: site.space.rawValue, index: subject.index)
        page.words = words.shared(subject.index)
        page.timesteps = analysis.timesteps
        page.frequency = analysis.frequency(subject.index)
        page.maxActivation = analysis.maxActivation(subject.index)
        page.peaks = analysis.peaks[subject.index]
        page.examples = try examples(subject.index, analysis)
        page.thumbnail = try page.examples.first.map { try pictures.thumbnail(of: $0.picture) }
        page.measures = [
            ("active_share", page.frequency.max().map { Double($0) }),
            ("largest_activation", page.maxActivation.max().map { Double($0) }),
        ]
        guard isChosen else { return page }
        page.priors = try priorPictures(subject)
        page.steered = try steeredPictures(subject)
        page.dreams = try study.timesteps(subject).compactMap { try dream(DreamSubject(subject: subject, timestep: $0)) }
        try addMaps(of: subject, to: &page)
        for name in page.dreams.flatMap({ $0.measures.map(\.name) }) where !page.measures.contains(where: { $0.name == name }) {
            let values = page.dreams.flatMap { $0.measures }.filter { $0.name == name }.compactMap(\.value)
            page.measures.append((name, Measures.mean(values)))
        }
        if let best = page.clearest {
            page.dreamThumbnail = try pictures.thumbnail(of: best.pictures[0])
            (page.clarity, page.doubts) = (Trust.clarity(best.measures), best.doubts)
        }
        return page
    }

    private func examples(_ channel: Int, _ analysis: SiteAnalysis) throws -> [FeaturePage.Example] {
        let step = analysis.exampleStep(channel)
        return try analysis.examples(channel, step: step).prefix(study.settings.shownExamples).map { example in
            let (prompt, image, half) = study.picture(of: example.generation)
            let name = "pictures/examples/\(prompt.id)-\(image).png"
            try pictures.add(capture.picturePath(example.generation), as: name)
            return FeaturePage.Example(
                picture: name, prompt: half == 1 ? prompt.text + " (conditional half)" : prompt.text,
                seed: prompt.seed(study: study.settings.seed, image: image), timestep: analysis.timesteps[step],
                activation: example.activation)
        }
    }

    private func priorPictures(_ subject: Subject) throws -> [FeaturePage.Prior] {
        guard study.settings.makesPriors else { return [] }
        let store = UnitStore(study: study.folder, stage: priors.name)
        guard store.state(of: try priors.unit(subject)) == .done else { return [] }
        return try study.settings.priorSeeds.map { seed in
            let name = "pictures/\(subject.path)/prior-\(seed).png"
            try pictures.add("\(store.folder(subject.path))/\(seed).png", as: name)
            return FeaturePage.Prior(picture: name, seed: seed)
        }
    }

    private func steeredPictures(_ subject: Subject) throws -> [FeaturePage.Steered] {
        guard study.settings.steers, try !study.timesteps(subject).isEmpty else { return [] }
        let stage = SteerStage(study: study)
        let unit = try stage.unit(subject, captured: capture.fingerprint())
        guard UnitStore(study: study.folder, stage: stage.name).state(of: unit) == .done else { return [] }
        return try zip(stage.pairs(subject), stage.pictures(subject)).enumerated().map { index, pair in
            let (prompt, seed) = stage.source(pair.1)
            let names = ["without", "with"].map { "pictures/\(subject.path)/\($0)-\(index).png" }
            try pictures.add(pair.0.without, as: names[0])
            try pictures.add(pair.0.with, as: names[1])
            return FeaturePage.Steered(without: names[0], with: names[1], prompt: prompt.text, seed: seed)
        }
    }

    private func dream(_ dream: DreamSubject) throws -> FeaturePage.Dream? {
        let (subject, timestep) = (dream.subject, dream.timestep)
        let unit = try dreams.unit(dream)
        let store = UnitStore(study: study.folder, stage: dreams.name)
        guard store.state(of: unit) == .done else { return nil }
        let source = store.folder(unit.id)
        let target = "pictures/\(unit.id)"
        let seeds = study.settings.dreamSeeds
        for name in seeds.map({ "\($0).png" }) + ["history.png"] {
            try pictures.add("\(source)/\(name)", as: "\(target)/\(name)")
        }
        let settings = study.settings(of: dream)
        if settings.animation { try pictures.add("\(source)/animation.png", as: "\(target)/animation.png") }
        let (course, measures) = (try JSON.read(source + "/course.json"), measures(dream))
        let path = URL(fileURLWithPath: study.folder).standardizedFileURL.path
        var shown = FeaturePage.Dream(
            way: study.settings.preset(dream.way), timestep: timestep, seeds: seeds,
            pictures: seeds.map { "\(target)/\($0).png" },
            history: "\(target)/history.png", steps: course["snapshots"]?.array?.compactMap(\.int) ?? [],
            activations: (course["results"]?.array ?? []).map { record in
                (record["history"]?["activation"]?.array ?? []).map { Float($0.double ?? .nan) }
            },
            largest: try study.analysis(subject.site).maxActivation(subject.index, near: timestep),
            animation: settings.animation ? "\(target)/animation.png" : nil,
            measures: measures, doubts: Trust.doubts(measures), settings: settings.parameters,
            command: "cd \(Shell.quoted(path)) && \(course["command"]?.string ?? "")")
        if dream.way == .own { shown.companions = try study.companions(of: dream).compactMap(self.dream) }
        return shown
    }

    private func measures(_ dream: DreamSubject) -> [(name: String, value: Double?)] {
        let path = UnitStore(study: study.folder, stage: StageName.measure.rawValue).folder(dream.path)
        guard let measures = (try? JSON.read(path + "/measures.json"))?.object else { return [] }
        return measures.map { ($0.key, $0.value.double) }
    }

    /// Six examples, then the clearest results.
    private func sheetRow(_ page: FeaturePage) throws -> [ContactSheet.Cell?]? {
        guard let dream = page.clearest else { return nil }
        func cell(_ path: String, _ label: String) throws -> ContactSheet.Cell {
            .init(try PNG.read("\(folder)/\(path)").bitmap.fitting(width: 128, height: 128), label: label)
        }
        let shown = page.examples.prefix(6)
        var row: [ContactSheet.Cell?] = try shown.enumerated().map { index, example in
            try cell(example.picture, index == 0 ? "\(page.space.prefix(1))\(page.index)" : "")
        }
        row += Array(repeating: nil, count: 6 - shown.count)
        return row + (try dream.pictures.prefix(5).map { try cell($0, "t\(dream.timestep)") })
    }

    private var facts: JSON {
        var facts = JSONObject()
        facts["model"] = .string(study.model.name)
        facts["prompts"] = .integer(study.prompts.count)
        facts["pictures"] = .integer(study.prompts.count * study.settings.imagesPerPrompt)
        for (key, value) in study.settings.values.values.sorted(by: { $0.key < $1.key }) where facts[key] == nil {
            facts[key] = value
        }
        return .object(facts)
    }
}

extension FeaturePage {
    /// The dream of the greatest clarity, of equal ones that with the largest reach; without measures the last.
    fileprivate var clearest: Dream? {
        func rank(_ dream: Dream) -> (Double, Double) {
            (Trust.clarity(dream.measures), (dream.measures.first { $0.name == "reach" }?.value ?? nil) ?? -1)
        }
        return dreams.max { rank($0) < rank($1) }
    }
}

/// The pictures of a gallery: linked to the study's own where the file system can, else copied.
private struct GalleryPictures {
    let gallery: String
    private static let thumbnailSize = 128

    func add(_ source: String, as name: String) throws {
        let target = "\(gallery)/\(name)"
        if FileManager.default.fileExists(atPath: target) { return }
        try OutputFile.makeFolder(FileSystem.parent(target))
        if link(source, target) == 0 { return }
        try OutputFile.copy(source, to: target, overwrite: false)
    }

    /// A small version of a picture of the gallery; the picture itself if it is small.
    func thumbnail(of name: String) throws -> String {
        let small = "thumbnails/" + name.dropFirst("pictures/".count)
        let target = "\(gallery)/\(small)"
        if FileManager.default.fileExists(atPath: target) { return small }
        let picture = try PNG.read("\(gallery)/\(name)").bitmap
        guard picture.width > Self.thumbnailSize else { return name }
        try OutputFile.makeFolder(FileSystem.parent(target))
        try PNG.write(picture.fitting(width: Self.thumbnailSize, height: Self.thumbnailSize), to: target)
        return small
    }
}
