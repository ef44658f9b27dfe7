import Files

/// Everything the gallery shows of one channel or feature. Pictures are paths relative to the gallery's folder.
public struct FeaturePage: Sendable {
    /// A picture that was drawn from a prompt and in which the feature was active.
    public struct Example: Sendable {
        public var picture: String
        public var prompt: String
        public var seed: Int
        public var timestep: Int
        public var activation: Float

        public init(picture: String, prompt: String, seed: Int, timestep: Int, activation: Float) {
            self.picture = picture
            self.prompt = prompt
            self.seed = seed
            self.timestep = timestep
            self.activation = activation
        }
    }

    /// A picture that was drawn with the feature added.
    public struct Prior: Sendable {
        public var picture: String
        public var seed: Int

        public init(picture: String, seed: Int) {
            self.picture = picture
            self.seed = seed
        }
    }

    /// A picture of the dataset, and the same drawn with the feature added.
    public struct Steered: Sendable {
        public var without: String
        public var with: String
        public var prompt: String
        public var seed: Int

        public init(without: String, with: String, prompt: String, seed: Int) {
            (self.without, self.with) = (without, with)
            (self.prompt, self.seed) = (prompt, seed)
        }
    }

    /// The results of one optimization, at one time step, for all seeds.
    public struct Dream: Sendable {
        /// The preset that its settings come from.
        public var way: String
        public var timestep: Int
        public var seeds: [Int]
        /// A picture per seed, full size.
        public var pictures: [String]
        /// One picture of all snapshots: a column for each of `steps`, a row for each seed.
        public var history: String
        /// Steps at which the snapshots were taken.
        public var steps: [Int]
        /// `[seed][step]`, at every step of the optimization.
        public var activations: [[Float]]
        /// The largest activation of the dataset at the time step.
        public var largest: Float
        /// An animated PNG of the history, if there is one.
        public var animation: String?
        public var measures: [(name: String, value: Double?)]
        /// Why not to trust it.
        public var doubts: [String]
        public var settings: JSON
        /// The command that repeats it.
        public var command: String
        /// The same sought in other ways, for comparison.
        public var companions: [Dream] = []

        public init(
            way: String, timestep: Int, seeds: [Int], pictures: [String], history: String, steps: [Int], activations: [[Float]],
            largest: Float, animation: String?, measures: [(name: String, value: Double?)],
            doubts: [String], settings: JSON, command: String
        ) {
            self.way = way
            self.timestep = timestep
            self.seeds = seeds
            self.pictures = pictures
            self.history = history
            self.steps = steps
            self.activations = activations
            self.largest = largest
            self.animation = animation
            self.measures = measures
            self.doubts = doubts
            self.settings = settings
            self.command = command
        }
    }

    public var layer: String
    /// `features` or `channels`.
    public var space: String
    public var index: Int
    /// Words that the prompts of its examples share more than prompts in general.
    public var words: [String] = []
    public var timesteps: [Int] = []
    /// Per time step: the share of generations in which it was among the strongest.
    public var frequency: [Float] = []
    public var maxActivation: [Float] = []
    public var peaks: [Int] = []
    public var examples: [Example] = []
    public var priors: [Prior] = []
    public var steered: [Steered] = []
    public var dreams: [Dream] = []
    /// Where in the examples, and in the dreams' results, it is active; a row for each of `mapTimesteps`.
    public var exampleMaps: HeatMaps?
    public var dreamMaps: HeatMaps?
    public var mapTimesteps: [Int] = []
    /// Numbers for the index: sortable.
    public var measures: [(name: String, value: Double?)] = []
    /// How clearly its best dream shows what it looks for, in 0…1; nil without dreams. The index is ordered by it.
    public var clarity: Double?
    /// Why not to trust that dream.
    public var doubts: [String] = []
    /// Small pictures for the index: what it looks for, and where it was most active.
    public var dreamThumbnail: String?
    public var thumbnail: String?

    public init(layer: String, space: String, index: Int) {
        self.layer = layer
        self.space = space
        self.index = index
    }

    /// Names the page in links and files.
    public var key: String { "\(layer)/\(space)/\(index)" }
}

extension FeaturePage {
    /// The documented form (docs/gallery.md), for the page itself and for other programs.
    var json: JSON {
        [
            "layer": .string(layer), "space": .string(space), "index": .integer(index),
            "words": .array(words.map(JSON.string)), "timesteps": .array(timesteps.map(JSON.integer)),
            "frequency": Self.floats(frequency), "max_activation": Self.floats(maxActivation),
            "peaks": .array(peaks.map(JSON.integer)),
            "examples": .array(examples.map(\.json)),
            "priors": .array(priors.map { ["picture": .string($0.picture), "seed": .integer($0.seed)] }),
            "steered": .array(steered.map(\.json)),
            "dreams": .array(dreams.map(\.json)),
            "maps": [
                "timesteps": .array(mapTimesteps.map(JSON.integer)), "examples": exampleMaps?.json ?? .null,
                "dreams": dreamMaps?.json ?? .null,
            ],
            "measures": Self.numbers(measures),
        ]
    }

    static func floats(_ values: [Float]) -> JSON { .array(values.map { JSON.float($0) }) }

    static func numbers(_ values: [(name: String, value: Double?)]) -> JSON {
        JSON(values.map { ($0.name, $0.value.map { JSON.float(Float($0)) } ?? .null) })
    }

    /// Charts of the page's numbers.
    var charts: JSON {
        func chart(_ title: String, _ label: String, _ values: [Float]) -> JSON {
            let points = zip(timesteps, values).map { (x: Double($0), y: Double($1)) }
            let marks = peaks.map { LineChart.Mark(x: Double($0), label: "\($0)") }
            return .string(
                LineChart(
                    title: title, xLabel: "time step", yLabel: label, series: [.init(name: title, points: points)],
                    marks: marks
                ).svg())
        }
        return [
            "activity": chart("Activity profile", "share of generations", frequency),
            "maximum": chart("Maximal activation", "activation", maxActivation),
            "histories": .array(dreams.map { .string($0.chart) }),
        ]
    }
}

extension FeaturePage.Example {
    var json: JSON {
        [
            "picture": .string(picture), "prompt": .string(prompt), "seed": .integer(seed),
            "timestep": .integer(timestep), "activation": JSON.float(activation),
        ]
    }
}

extension FeaturePage.Steered {
    var json: JSON {
        [
            "without": .string(without), "with": .string(with), "prompt": .string(prompt), "seed": .integer(seed),
        ]
    }
}

extension FeaturePage.Dream {
    var json: JSON {
        [
            "way": .string(way), "timestep": .integer(timestep), "seeds": .array(seeds.map(JSON.integer)),
            "pictures": .array(pictures.map(JSON.string)), "history": .string(history),
            "steps": .array(steps.map(JSON.integer)),
            "activations": .array(activations.map(FeaturePage.floats)), "largest": JSON.float(largest),
            "animation": animation.map(JSON.string) ?? .null, "measures": FeaturePage.numbers(measures),
            "doubts": .array(doubts.map(JSON.string)), "settings": settings, "command": .string(command),
            "companions": .array(companions.map(\.json)),
        ]
    }

    var chart: String {
        let lines = zip(seeds, activations).map { seed, values in
            LineChart.Series(
                name: "\(seed)", points: values.enumerated().map { (x: Double($0.offset), y: Double($0.element)) })
        }
        return LineChart(
            title: "Activation by seed", xLabel: "step", yLabel: "activation", series: lines,
            levels: largest > 0 ? [.init(y: Double(largest), label: "largest of the dataset")] : []).svg()
    }
}
