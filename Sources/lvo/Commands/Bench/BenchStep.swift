import ArgumentParser
import Benchmarking
import Ops
import StableDiffusion
import Tensors

struct BenchStep: Benchmark {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "One visualization step: forward to a layer, gradient back to the latent.")

    @OptionGroup var options: BenchOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var model: BenchModelOptions
    @OptionGroup var cache: BenchCacheOption
    @OptionGroup var memory: MemoryOptions

    @Option(help: "Hook point where the forward pass stops.")
    var layer = "up_blocks.1.attentions.1"

    @Flag(help: "Print time and GFLOP/s of every block, forward and backward.")
    var profile = false

    func measure() throws -> BenchResult {
        let engine = try options.runtime.engine(precision)
        let report = BenchReport(engine: engine)
        let folder = try cache.folder(model, engine)
        let hook = try folder.unetConfig.hookPoint(layer)
        let size = LatentSize(batch: model.batch, height: model.latent, width: model.latent)
        let start = ContinuousClock.now
        let unet = try folder.loadUNet(upTo: hook, engine: engine)
        let loading = ContinuousClock.now - start
        let plan = try folder.memoryPlan(to: hook, size, budget: memory.memory?.bytes, precision: engine.precision)
        plan.enforce(on: engine)
        let step = Step(unet: unet, hook: hook, model: model, policies: plan.policies)
        let measurement = Timing(
            "step to \(hook.name), \(model.size)", repeats: options.repeats,
            flops: 2 * Double(unet.config.cost(to: hook, size).flops)
        ) {
            step.run()
        }
        let result = report.show([measurement], loading: loading)
        if profile { printProfile(step, unet.config, size) }
        return result
    }

    private func printProfile(_ step: Step, _ config: UNetConfig, _ size: LatentSize) {
        let forward = BlockClock(), backward = BlockClock()
        step.run(forward: forward, backward: backward)
        let back = Dictionary(backward.seconds.map { ($0.name, $0.seconds) }, uniquingKeysWith: +)
        print("\nforward ms  GFLOP/s  backward ms  GFLOP/s   GFLOP  block")
        for (block, time) in zip(config.blocks(), forward.seconds) {
            let gflop = Double(block.flops(size, config: config)) / 1e9
            let returning = back[block.name] ?? 0
            print(
                String(
                    format: "%10.1f %8.0f %12.1f %8.0f %7.1f  ", time.seconds * 1e3, gflop / time.seconds,
                    returning * 1e3, gflop / max(returning, 1e-9), gflop) + block.name)
        }
    }

    /// The objective is one raw channel's mean: its gradient costs nothing beside the U-Net's.
    private struct Step {
        let unet: UNet
        let hook: HookPoint
        let policies: [GradientCheckpointing]
        let latents: Tensor
        let time: TimeConditioning
        let text: TextConditioning

        init(unet: UNet, hook: HookPoint, model: BenchModelOptions, policies: [GradientCheckpointing]) {
            self.unet = unet
            self.hook = hook
            self.policies = policies
            latents = model.latents()
            time = unet.prepare(timestep: 501)
            text = model.text(unet)
        }

        func run(forward: BlockClock? = nil, backward: BlockClock? = nil) {
            forward?.start()
            let trace = unet.forward(
                latents, to: hook, time: time, text: text, policies: policies, progress: { forward?.tick($0.name) })
            let shape = trace.activation.shape
            let gradient = Tensor.zeros(shape, in: unet.engine.workspace)
            for row in 0..<gradient.rows { gradient.pointer[row * gradient.channels] = -1 / Float(gradient.rows) }
            backward?.start()
            _ = unet.backward(trace, gradient: gradient, progress: { backward?.tick($0.name) })
        }
    }
}
