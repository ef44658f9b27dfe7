import ArgumentParser

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure this machine: kernels, layers, the U-Net, a visualization step, the VAE, SAE training.",
        discussion: """
            Medians and minima over repeats after one warm-up; GFLOP/s beside the share of the register tile's own peak, \
            measured in the same run. Without --model the weights are synthetic (SD 1.5, made in memory), so nothing needs \
            downloading.
            """,
        subcommands: [
            BenchKernels.self, BenchLayers.self, BenchUNet.self, BenchStep.self, BenchVAE.self, BenchSAE.self,
            BenchScaling.self, BenchStart.self,
        ])
}
