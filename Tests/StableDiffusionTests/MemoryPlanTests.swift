import Files
import StableDiffusion
import Testing

@Suite struct MemoryPlanTests {
    private func sd15() throws -> UNetConfig {
        let json = try #require(ModelFolderFiles.sd15.first { $0.path == "unet/config.json" }?.json)
        return try UNetConfig(ConfigFile(file: "unet/config.json", json: json))
    }

    @Test func everythingIsKeptWithoutABudget() throws {
        let config = try sd15()
        let hook = try config.hookPoint("up_blocks.1.attentions.1")
        let plan = try MemoryPlan(config, to: hook, LatentSize(height: 64, width: 64), weightBytes: 0)
        #expect(plan.policies.allSatisfy { $0 == .keep })
        #expect(plan.entries.last?.name == hook.name)
    }

    @Test func smallerBudgetsRecomputeMore() throws {
        let config = try sd15()
        let hook = try config.hookPoint("up_blocks.1.attentions.1")
        let size = LatentSize(height: 64, width: 64)
        let free = try MemoryPlan(config, to: hook, size, weightBytes: 1_000_000_000)
        var recomputed = 0
        for share in [0.9, 0.75, 0.6] {
            let budget = free.totalBytes - Int(Double(free.activationBytes) * (1 - share))
            let plan = try MemoryPlan(config, to: hook, size, weightBytes: 1_000_000_000, budget: budget)
            #expect(plan.totalBytes <= budget)
            let count = plan.policies.filter { $0 == .recompute }.count
            #expect(count > recomputed)
            recomputed = count
        }
    }

    @Test func whatCannotFitIsRefusedWithTheNumbers() throws {
        let config = try sd15()
        let hook = try config.hookPoint("up_blocks.1.attentions.1")
        let error = #expect(throws: MemoryShortage.self) {
            try MemoryPlan(
                config, to: hook, LatentSize(batch: 4, height: 128, width: 128), weightBytes: 1_360_000_000,
                budget: 2_000_000_000)
        }
        #expect(error?.kind == .usage)
        #expect(error?.description.contains("weights 1.36 GB") == true)
    }

    /// The plan's sum is what the workspace really reaches: not less, and not much more.
    @Test(arguments: [GradientCheckpointing.keep, .recompute])
    func planAgreesWithMeasuredMemory(_ policy: GradientCheckpointing) throws {
        let fixture = try UNetFixture("unet_a")
        let hook = try fixture.config.hookPoint("up_blocks.2.attentions.1")
        let unet = try fixture.unet(upTo: hook)
        let size = LatentSize(batch: 4, height: 48, width: 48)
        var random = TorchGenerator(seed: 3)
        let latent = random.randn([size.batch, 4, size.height, size.width])
        let (time, text) = (unet.prepare(timestep: 1), unet.prepare(context: fixture.context.slice(0..<1)))
        let budget = policy == .keep ? nil : try smallestBudget(fixture.config, hook, size)
        let plan = try MemoryPlan(fixture.config, to: hook, size, weightBytes: 0, budget: budget)
        plan.enforce(on: fixture.engine)
        for _ in 0..<2 {
            let trace = unet.forward(latent, to: hook, time: time, text: text, policies: plan.policies)
            let gradient = unet.backward(trace, gradient: channelCotangent(trace.activation.shape, channel: 0))
            #expect(gradient.shape == latent.shape)
        }
        let measured = fixture.engine.workspace.statistics
        #expect(measured.peakBytesInUse < plan.activationBytes)
        #expect(Double(measured.peakBytesInUse) > 0.6 * Double(plan.activationBytes))
        if budget != nil { #expect(measured.bytesReserved <= plan.activationBytes) }
        #expect(plan.policies.contains(.recompute) == (policy == .recompute))
    }

    /// The least budget that is not refused, by bisection.
    private func smallestBudget(_ config: UNetConfig, _ hook: HookPoint, _ size: LatentSize) throws -> Int {
        var (low, high) = (0, try MemoryPlan(config, to: hook, size, weightBytes: 0).totalBytes)
        while high - low > 1000 {
            let middle = (low + high) / 2
            if (try? MemoryPlan(config, to: hook, size, weightBytes: 0, budget: middle)) != nil {
                high = middle
            } else {
                low = middle
            }
        }
        return high
    }
}
