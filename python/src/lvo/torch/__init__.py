"""lvo's layers and U-Net as PyTorch modules, differentiable in the latent. Imports torch; `import lvo`
does not.

    layer = lvo.torch.layer(model, "up_blocks.1.attentions.1")
    activation = layer(latent, 301, context)         # [B, C, h, w]
    activation[:, 7].mean().backward()               # latent.grad by lvo's backward pass

Any objective may be written on top in torch. Weights, text and time step are constants: only the latent has a
gradient, and only the first (no double backward).
"""

from .diffusers import DiffusersUNet, diffusers_unet
from .layers import Layer, UNet, layer, unet

__all__ = ["DiffusersUNet", "Layer", "UNet", "diffusers_unet", "layer", "unet"]
