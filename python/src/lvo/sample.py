"""What the U-Net gets: latents, time steps and text."""

from typing import TYPE_CHECKING, Any, List

import numpy as np

from . import library
from .arrays import floats, timesteps

if TYPE_CHECKING:
    from .model import Model

# The U-Net's output, beside the names of hook points.
NOISE = "noise"


class Sample:
    """Latents, time steps and text on their way into the library."""

    def __init__(self, model: "Model", latent: Any, timestep: Any, prompt: Any, context: Any) -> None:
        channels, _, _ = model.latent_shape
        self.model = model
        self.latent = floats(latent, "latent", (None, channels, None, None), batch=True)
        self.timesteps = timesteps(timestep)
        given = model._context(prompt) if context is None else context
        self.context = floats(given, "context", (None, None, model.info["context_width"]), batch=True)
        self.arguments: List[Any] = [
            self.latent.ctypes.data,
            library.extents(self.latent.shape),
            self.timesteps.ctypes.data,
            self.timesteps.size,
            self.context.ctypes.data,
            library.extents(self.context.shape),
        ]

    def output(self, layer: str, tokens: bool = False) -> np.ndarray:
        """Room for the activation of a layer."""
        batch, _, height, width = self.latent.shape
        if layer == NOISE:
            return np.empty(self.latent.shape, np.float32)
        name = self.model.layer(layer).name
        channels, rows, columns = self.model._described((height, width))["sizes"][name]
        shape = (batch, rows * columns, channels) if tokens else (batch, channels, rows, columns)
        return np.empty(shape, np.float32)
