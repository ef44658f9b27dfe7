"""What a forward pass keeps for gradients."""

from typing import Any, Tuple

import numpy as np

from . import library
from .arrays import floats
from .handle import Handle


class VectorJacobianProduct(Handle):
    """Called with a cotangent of the output's shape, gives the gradient [B, 4, h, w] of Σ cotangent ·
    output at the latent. May be called any number of times. `close()`, or a `with` block, frees the
    activations that it keeps."""

    kind = "trace"

    def __init__(self, pointer: int, output_shape: Tuple[int, ...], latent_shape: Tuple[int, ...]) -> None:
        super().__init__(pointer)
        self.output_shape, self.latent_shape = output_shape, latent_shape

    def __call__(self, cotangent: Any) -> np.ndarray:
        values = floats(cotangent, "cotangent", self.output_shape)
        gradient = np.empty(self.latent_shape, np.float32)
        library.call(
            "trace_gradient",
            self.pointer,
            values.ctypes.data,
            values.size,
            gradient.ctypes.data,
            gradient.size,
        )
        return gradient
