/// What it takes to compute and to load a part of the network: counted by rule, without running anything.
public struct Cost: Sendable, Equatable {
    /// Floating-point operations, a multiplication and an addition being two: products and attention, forward.
    public var flops = 0
    public var parameters = 0

    public static func + (a: Cost, b: Cost) -> Cost {
        Cost(flops: a.flops + b.flops, parameters: a.parameters + b.parameters)
    }
}

/// The sizes a computation is run at.
public struct LatentSize: Sendable, Equatable {
    public var batch: Int
    public var height: Int
    public var width: Int
    /// Tokens of the text.
    public var contextLength = 77

    public init(batch: Int = 1, height: Int, width: Int) {
        self.batch = batch
        self.height = height
        self.width = width
    }
}

extension StageDescription {
    /// Positions of this stage's output, of the whole batch.
    func rows(_ size: LatentSize) -> Int {
        let map = Self.mapSize(size.height, size.width, level: level)
        return size.batch * map.height * map.width
    }

    /// The cost up to and including `end`. What depends on the time step or the text alone costs parameters but no
    /// operations: it is computed once per run.
    public func cost(_ size: LatentSize, config: UNetConfig, upTo end: InnerPoint = .output) -> Cost {
        let n = rows(size)
        let (input, c) = (inChannels + skipChannels, outChannels)
        switch kind {
        case .convolutionIn, .downsample, .upsample:
            return Self.convolution(9, inChannels, c, n)
        case .output:
            return Self.convolution(9, inChannels, c, n) + Cost(parameters: 2 * inChannels)
        case .resnet:
            let shortcut = input == c ? Cost() : Self.convolution(1, input, c, n)
            return Self.convolution(9, input, c, n) + Self.convolution(9, c, c, n) + shortcut
                + Cost(parameters: 2 * input + 2 * c + (config.layout.timeWidth + 1) * c)
        case .transformer:
            return InnerPoint.allCases.filter { $0 <= end }
                .reduce(Cost()) { $0 + transformerPart($1, size, contextWidth: config.layout.contextWidth) }
        }
    }

    private static func convolution(_ taps: Int, _ input: Int, _ output: Int, _ rows: Int) -> Cost {
        Cost(flops: 2 * taps * input * output * rows, parameters: (taps * input + 1) * output)
    }

    /// What the part of a transformer that ends at `point` adds. Biases and norms (2c each) are in the linear terms.
    private func transformerPart(_ point: InnerPoint, _ size: LatentSize, contextWidth: Int) -> Cost {
        let (c, n) = (outChannels, rows(size))
        let positions = n / max(1, size.batch)
        switch point {
        case .projIn: return Cost(flops: 2 * c * c * n, parameters: c * c + c + 2 * c)
        case .attn1: return Cost(flops: 8 * c * c * n + 4 * n * positions * c, parameters: 4 * c * c + c + 2 * c)
        case .attn2:
            return Cost(
                flops: 4 * c * c * n + 4 * n * size.contextLength * c,
                parameters: 2 * c * c + 2 * contextWidth * c + c + 2 * c)
        case .feedForward: return Cost(flops: 24 * c * c * n, parameters: 12 * c * c + 8 * c + c + 2 * c)
        case .block: return Cost()
        case .output: return Cost(flops: 2 * c * c * n, parameters: c * c + c)
        }
    }
}

extension UNetConfig {
    /// Parameters of the time embedding, which every hook point needs.
    private var timeParameters: Int {
        let (width, inner) = (layout.widths[0], layout.timeWidth)
        return (width + 1) * inner + (inner + 1) * inner
    }

    /// What it takes to compute the activation at `hook` from a latent; the whole network without one. Parameters count
    /// whole stages, because a stage is loaded whole.
    public func cost(to hook: HookPoint? = nil, _ size: LatentSize) -> Cost {
        let stages = stages()
        let last = hook?.stage ?? stages.count - 1
        var total = Cost(parameters: timeParameters)
        for (index, stage) in stages[...last].enumerated() {
            let end = index == last ? hook?.inner ?? .output : .output
            total.flops += stage.cost(size, config: self, upTo: end).flops
            total.parameters += stage.cost(size, config: self).parameters
        }
        return total
    }
}
