"""A layer's activation, and the predicted noise, as modules."""

from typing import Any, Optional

import numpy as np
import torch

from ..model import Model
from .function import compute, constant, number


class Layer(torch.nn.Module):
    """The activation of one hook point: `(latent, timestep, context)` → [B, C, h, w], differentiable in
    the latent.

    The U-Net runs only as far as the hook point. A trace for the backward pass is kept only where the latent
    requires a gradient, and let go of after it.
    """

    def __init__(self, model: Model, name: str) -> None:
        super().__init__()
        self.hook = model.layer(name)

    def forward(
        self, latent: torch.Tensor, timestep: Any, context: Optional[Any] = None, prompt: str = ""
    ) -> torch.Tensor:
        """
        latent: [B, 4, h, w] on the CPU, as the U-Net sees it (noised, if it is to be).
        timestep: from 0 (a picture) to 999 (noise); one for the batch.
        context: the text encoder's output [1 or B, tokens, width]; without it `prompt` is encoded.
        """
        context, timestep = constant(context, "context"), number(timestep)

        def run(values: np.ndarray, keep: bool) -> Any:
            if keep:
                return self.hook.forward(values, timestep=timestep, prompt=prompt, context=context)
            return self.hook.activations(values, timestep=timestep, prompt=prompt, context=context), None

        return compute(latent, run)

    def extra_repr(self) -> str:
        return repr(self.hook.name)


class UNet(torch.nn.Module):
    """Predicted noise: `(latent, timestep, context)` → [B, 4, h, w], differentiable in the latent."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, latent: torch.Tensor, timestep: Any, context: Optional[Any] = None, prompt: str = ""
    ) -> torch.Tensor:
        """Arguments as `Layer.forward`'s."""
        context, timestep = constant(context, "context"), number(timestep)

        def run(values: np.ndarray, keep: bool) -> Any:
            if keep:
                return self.model.noise_forward(values, timestep=timestep, prompt=prompt, context=context)
            return self.model.noise(values, timestep=timestep, prompt=prompt, context=context), None

        return compute(latent, run)


def layer(model: Model, name: str) -> Layer:
    """The hook point `name` of `model` as a module."""
    return Layer(model, name)


def unet(model: Model) -> UNet:
    """The whole U-Net of `model` as a module."""
    return UNet(model)
