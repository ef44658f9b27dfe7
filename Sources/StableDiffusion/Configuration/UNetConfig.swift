import Files

/// A U-Net in numbers: what `unet/config.json` says (`UNet2DConditionModel` in diffusers). Its structure follows from
/// them (`blocks()`), and from the structure every tensor it must have (`manifest`).
///
/// An absent key means diffusers' default. A key that would change the computation in a way this program does not
/// follow is refused by name unless it has its default (`ConfigurationKey.unet`), because ignoring it would give wrong
/// numbers silently.
public struct UNetConfig: Sendable, Equatable {
    /// Channels of a latent: 4.
    public let inChannels: Int
    /// Channels of the prediction: 4.
    public let outChannels: Int
    /// `block_out_channels`: channels at each level, the latent's own resolution first; 320, 640, 1280, 1280 in SD 1.5.
    public let widths: [Int]
    /// Resnets at each level on the way down; the way up has one more.
    public let layersPerBlock: Int
    /// `cross_attention_dim`: the text encoder's width.
    public let contextWidth: Int
    /// Per level on the way down, the latent's own resolution first: whether its resnets are followed by transformers.
    public let downAttention: [Bool]
    /// The same on the way up, the deepest level first.
    public let upAttention: [Bool]
    /// Whether there are blocks between the way down and the way up: not if `mid_block_type` is null, which is not the
    /// same as absent.
    public let hasMiddle: Bool
    /// Whether files have `proj_in` and `proj_out` as linear layers instead of 1×1 convolutions: the same product.
    public let linearProjection: Bool
    /// Attention heads per level. In the file they are called `attention_head_dim`, a misnomer that diffusers keeps for
    /// compatibility: 8 in SD 1.5 means 8 heads of 40, 80, 160, 160 channels.
    public let heads: [Int]
    /// Groups of every group norm.
    public let normNumGroups: Int
    /// ε of the resnets' and the output's group norms; the transformers' is 1e-6 always.
    public let normEps: Float
    /// Whether the time embedding's cosines come before its sines.
    public let flipSinToCos: Bool
    /// Subtracted from the number of frequencies in the time embedding's exponent.
    public let freqShift: Float
    /// Latent height and width the model was trained for.
    public let sampleSize: Int

    /// Of a latent: 32,768 pixels with Stable Diffusion's VAE.
    package static let largestSide = 4096

    /// Stable Diffusion 1.5.
    public static let sd15 = UNetConfig(
        widths: [320, 640, 1280, 1280], layersPerBlock: 2, contextWidth: 768,
        downAttention: [true, true, true, false], upAttention: [false, true, true, true])

    /// Width of the time embedding: four times the first level's.
    public var timeWidth: Int { 4 * widths[0] }

    /// Takes the numbers as they are: what does not fit together is found by `init(_:)` only.
    package init(
        inChannels: Int = 4, outChannels: Int = 4, widths: [Int], layersPerBlock: Int, contextWidth: Int,
        downAttention: [Bool], upAttention: [Bool], linearProjection: Bool = false, heads: Int = 8, groups: Int = 32
    ) {
        hasMiddle = true
        self.inChannels = inChannels
        self.outChannels = outChannels
        self.widths = widths
        self.layersPerBlock = layersPerBlock
        self.contextWidth = contextWidth
        self.downAttention = downAttention
        self.upAttention = upAttention
        self.linearProjection = linearProjection
        self.heads = Array(repeating: heads, count: widths.count)
        normNumGroups = groups
        normEps = 1e-5
        flipSinToCos = true
        freqShift = 0
        sampleSize = 64
    }

    /// Reads and checks a `config.json`.
    /// - Throws: `FileFailure.badKey` for a value that is out of range, not supported, or does not fit the others.
    public init(_ config: ConfigFile) throws(FileFailure) {
        try ConfigurationKey.check(config, ConfigurationKey.unet)
        try self.init(sizesOf: config)
        for (level, width) in widths.enumerated() {
            guard width % heads[level] == 0 else {
                throw config.bad("attention_head_dim", expected: "a divisor of \(width)", found: "\(heads[level])")
            }
            guard width % normNumGroups == 0 else {
                throw config.bad("norm_num_groups", expected: "a divisor of \(width)", found: "\(normNumGroups)")
            }
        }
    }

    /// Reads a `config.json` as far as the network's tensors depend on it: enough for a manifest, not for running it.
    /// - Throws: `FileFailure.badKey` for an unknown block type or a value that is out of range.
    package init(sizesOf config: ConfigFile) throws(FileFailure) {
        widths = try config.widths("block_out_channels", default: [320, 640, 1280, 1280])
        layersPerBlock = try config.perLevel("layers_per_block", widths.count) { config throws(FileFailure) in
            try config.layers("layers_per_block", default: 2, atMost: 64)
        }
        contextWidth = try config.perLevel("cross_attention_dim", widths.count) { config throws(FileFailure) in
            try config.size("cross_attention_dim", default: 1280)
        }
        downAttention = try Self.attention(
            config, "down_block_types", ["DownBlock2D": false, "CrossAttnDownBlock2D": true],
            default: Array(repeating: "CrossAttnDownBlock2D", count: 3) + ["DownBlock2D"], count: widths.count)
        upAttention = try Self.attention(
            config, "up_block_types", ["UpBlock2D": false, "CrossAttnUpBlock2D": true],
            default: ["UpBlock2D"] + Array(repeating: "CrossAttnUpBlock2D", count: 3), count: widths.count)
        hasMiddle = config.json["mid_block_type"] != .null
        let middle = try config.string("mid_block_type", default: "UNetMidBlock2DCrossAttn")
        guard middle == "UNetMidBlock2DCrossAttn" else {
            throw config.bad("mid_block_type", expected: "UNetMidBlock2DCrossAttn or null", found: middle)
        }
        inChannels = try config.size("in_channels", default: 4)
        outChannels = try config.size("out_channels", default: 4)
        linearProjection = try config.flag("use_linear_projection", default: false)
        heads = try Self.heads(config, levels: widths.count)
        normNumGroups = try config.size("norm_num_groups", default: 32)
        normEps = Float(try config.double("norm_eps", default: 1e-5))
        flipSinToCos = try config.flag("flip_sin_to_cos", default: true)
        freqShift = Float(try config.double("freq_shift", default: 0))
        sampleSize = try config.perLevel("sample_size", 2) { config throws(FileFailure) in
            try config.size("sample_size", default: 64)
        }
        guard sampleSize <= Self.largestSide else {
            throw config.bad("sample_size", expected: "at most \(Self.largestSide)", found: "\(sampleSize)")
        }
    }

    private static func attention(
        _ config: ConfigFile, _ key: String, _ types: [String: Bool], default standard: [String], count: Int
    ) throws(FileFailure) -> [Bool] {
        let names = try config.strings(key, default: standard)
        guard names.count == count else {
            throw config.bad(key, expected: "\(count) blocks, as block_out_channels has", found: "\(names.count)")
        }
        var attention: [Bool] = []
        for name in names {
            guard let has = types[name] else {
                throw config.bad(key, expected: types.keys.sorted().joined(separator: " or "), found: name)
            }
            attention.append(has)
        }
        return attention
    }

    private static func heads(_ config: ConfigFile, levels: Int) throws(FileFailure) -> [Int] {
        if config.json["attention_head_dim"]?.array == nil {
            return Array(repeating: try config.size("attention_head_dim", default: 8), count: levels)
        }
        let heads = try config.ints("attention_head_dim")
        guard heads.count == levels, heads.allSatisfy({ $0 > 0 }) else {
            throw config.bad("attention_head_dim", expected: "\(levels) positive numbers", found: "\(heads)")
        }
        return heads
    }
}

extension ConfigFile {
    /// Channels per level: 1 to 16 sizes, so small that their products do not overflow.
    func widths(_ key: String, default standard: [Int]) throws(FileFailure) -> [Int] {
        let widths = try ints(key, default: standard)
        guard (1...16).contains(widths.count), widths.allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw bad(key, expected: "1 to 16 positive sizes", found: "\(widths)")
        }
        return widths
    }

    /// A truth value as Python takes it: null is false, whatever the default.
    func flag(_ key: String, default standard: Bool) throws(FileFailure) -> Bool {
        try json[key] == .null ? false : bool(key, default: standard)
    }

    /// A number that diffusers also takes as a list: a member for each level, or height and width. Here all are the same.
    func perLevel(
        _ key: String, _ levels: Int, _ read: (ConfigFile) throws(FileFailure) -> Int
    ) throws(FileFailure) -> Int {
        guard case .object(var members) = json, let list = members[key]?.array else { return try read(self) }
        guard list.count == levels, let first = list.first, list.allSatisfy({ $0 == first }) else {
            let found = JSON.array(list).serialized()
            throw bad(key, expected: "a number, or \(levels) equal ones", found: found)
        }
        members[key] = first
        return try read(ConfigFile(file: file, json: .object(members)))
    }

    /// A number of layers.
    func layers(_ key: String, default standard: Int, atMost limit: Int) throws(FileFailure) -> Int {
        let count = try size(key, default: standard)
        guard count <= limit else { throw bad(key, expected: "at most \(limit)", found: "\(count)") }
        return count
    }
}
