/// Everything public that looking inside a diffusion model takes, under one import: open a model, hook a layer, gradient,
/// dream, write the picture, capture, train a sparse autoencoder, evaluate it.
@_exported import Checkpoints
@_exported import Experiments
@_exported import Files
@_exported import Ops
@_exported import Optimizers
@_exported import Pictures
@_exported import SparseAutoencoders
@_exported import StableDiffusion
@_exported import Tensors
@_exported import Visualization
