"""A computation of lvo as a node of torch's graph."""

from typing import Any, Callable, Optional, Tuple

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..errors import InvalidArgument

# From the latent, and whether a trace is to be kept, to the value and its vector-Jacobian product or None.
Run = Callable[[np.ndarray, bool], Tuple[np.ndarray, Optional[Any]]]


class _Computation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: torch.Tensor, run: Run) -> torch.Tensor:
        value, ctx.vjp = run(latent.detach().numpy(), ctx.needs_input_grad[0])
        return torch.from_numpy(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: torch.Tensor) -> Tuple[torch.Tensor, None]:
        if ctx.vjp is None:
            raise RuntimeError("backward a second time: call it with retain_graph=True the first time")
        gradient = ctx.vjp(cotangent.detach().contiguous().numpy())
        if not _graph_is_kept():
            # Otherwise a loop would hold the old trace while the next one is made.
            ctx.vjp.close()
            ctx.vjp = None
        return torch.from_numpy(gradient), None


def compute(latent: torch.Tensor, run: Run) -> torch.Tensor:
    """`run` at `latent` [B, 4, h, w], in the latent's own type of numbers; computed in float32."""
    if not isinstance(latent, torch.Tensor):
        raise InvalidArgument(f"latent: {type(latent).__name__}, expected a torch.Tensor")
    if latent.device.type != "cpu":
        raise InvalidArgument(f"latent: on {latent.device}; lvo computes on the CPU")
    # A conversion is a node of the graph too, so gradients come back in the latent's type.
    result = _Computation.apply(latent.to(torch.float32).contiguous(), run)
    return result if result.dtype == latent.dtype else result.to(latent.dtype)


def constant(value: Any, name: str) -> Optional[np.ndarray]:
    """A tensor without a gradient as float32 for the library; None stays None."""
    if value is None:
        return None
    if not isinstance(value, torch.Tensor):
        return np.asarray(value, dtype=np.float32)
    if value.requires_grad and torch.is_grad_enabled():
        raise InvalidArgument(
            f"{name}: requires a gradient, but lvo has one in the latent alone; detach() it"
        )
    return value.detach().to("cpu", torch.float32).contiguous().numpy()


def number(timestep: Any) -> Any:
    """A time step as NumPy or Python number(s)."""
    return timestep.detach().cpu().numpy() if isinstance(timestep, torch.Tensor) else timestep


def _graph_is_kept() -> bool:
    """Whether the running backward pass was asked to leave the graph for another one."""
    asked = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if asked is None else bool(asked())
