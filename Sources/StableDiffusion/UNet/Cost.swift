import Checkpoints

/// The cost of computing and loading a part of the network, counted without running anything.
public struct Cost: Sendable, Equatable {
    /// Floating-point operations, a multiplication and an addition being two: products and attention,
    /// forward.
    public var flops = 0
    /// Numbers in the weights.
    public var parameters = 0
}

/// The sizes a computation is run at.
public struct LatentSize: Sendable, Equatable {
    /// Samples computed at once.
    public var batch: Int
    /// Rows of a latent: an eighth of the picture's.
    public var height: Int
    /// Columns of a latent.
    public var width: Int
    /// Tokens of the text.
    public var contextLength = 77

    /// One latent of `height × width`, or a batch of them.
    public init(batch: Int = 1, height: Int, width: Int) {
        self.batch = batch
        self.height = height
        self.width = width
    }
}

extension BlockDescription {
    /// Positions of this block's output, of the whole batch.
    func rows(_ size: LatentSize) -> Int {
        let map = Self.mapSize(size.height, size.width, level: level)
        return size.batch * map.height * map.width
    }

    /// Every tensor that the block's layers ask for.
    func manifest(_ config: UNetConfig) -> Manifest {
        Manifest(of: { _ = UNetBlock(self, config: config, build: $0) })
    }

    /// Operations of the block's forward pass up to and including `end`: two for every weight and position,
    /// and attention's. What depends on the time step or the text alone is not counted: it is computed once
    /// per run.
    package func flops(_ size: LatentSize, config: UNetConfig, upTo end: InnerPoint = .output) -> Int {
        flops(manifest(config), size, upTo: end)
    }

    fileprivate func flops(_ manifest: Manifest, _ size: LatentSize, upTo end: InnerPoint) -> Int {
        let weights = manifest.tensors.filter { tensor in
            tensor.shape.count >= 2 && point(of: tensor.name) <= end
                && !["time_emb_proj", "attn2.to_k", "attn2.to_v"].contains { tensor.name.hasSuffix($0 + ".weight") }
        }
        let products = 2 * rows(size) * weights.reduce(0) { $0 + $1.shape.reduce(1, *) }
        guard kind == .transformer else { return products }
        // Scores and mixtures: 2·C operations each for every pair of tokens.
        let perToken = 4 * rows(size) * outChannels
        let selfAttention = end >= .attn1 ? perToken * (rows(size) / max(1, size.batch)) : 0
        let crossAttention = end >= .attn2 ? perToken * size.contextLength : 0
        return products + selfAttention + crossAttention
    }

    /// The first hook point of the block that depends on a weight.
    private func point(of tensor: String) -> InnerPoint {
        InnerPoint.allCases.first { tensor.hasPrefix(name + $0.suffix + ".") } ?? .output
    }
}

extension UNetConfig {
    /// The cost of computing the activation at each of `hooks` from a latent. Parameters count whole blocks,
    /// because a block is loaded whole, and the time embedding, which every hook point needs.
    public func costs(to hooks: [HookPoint], _ size: LatentSize) -> [Cost] {
        let blocks = blocks()
        let manifests = blocks.map { $0.manifest(self) }
        let time = Manifest(of: { _ = TimeEmbedding($0, config: self) })
        var before = [Cost(parameters: time.parameterCount)]
        for (block, manifest) in zip(blocks, manifests) {
            let sum = before[before.count - 1]
            before.append(
                Cost(
                    flops: sum.flops + block.flops(manifest, size, upTo: .output),
                    parameters: sum.parameters + manifest.parameterCount))
        }
        return hooks.map { hook in
            let inside = blocks[hook.block].flops(manifests[hook.block], size, upTo: hook.inner)
            return Cost(flops: before[hook.block].flops + inside, parameters: before[hook.block + 1].parameters)
        }
    }

    /// The cost of computing the activation at `hook` from a latent; of the whole network's output without
    /// one.
    public func cost(to hook: HookPoint? = nil, _ size: LatentSize) -> Cost {
        let points = hookPoints()
        return costs(to: [hook ?? points[points.count - 1]], size)[0]
    }
}
