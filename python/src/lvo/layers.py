"""Hook points of a model's U-Net."""

import difflib
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from .errors import InvalidArgument
from .generation import Steer
from .tables import rows_html
from .trace import VectorJacobianProduct

if TYPE_CHECKING:
    from .dreams import Dream
    from .model import Model

Prompt = Union[str, Sequence[str]]


class Layer:
    """A place in the U-Net whose activation can be read, replaced, steered and differentiated.

    name: as in checkpoints. channels, height, width: of its activation, at the model's own size. flops: of
    a pass up to it. cost: that as a share of the whole U-Net's. parameters: of that part of the U-Net.
    """

    def __init__(self, model: "Model", about: Dict[str, Any]) -> None:
        self.model, self.info = model, about
        self.name: str = about["name"]
        self.channels: int = about["channels"]
        self.height: int = about["height"]
        self.width: int = about["width"]
        self.flops: float = about["flops"]
        self.cost: float = about["cost"]
        self.parameters: int = about["parameters"]

    def activations(
        self, latent: Any, *, timestep: Any, prompt: Prompt = "", context: Any = None, tokens: bool = False
    ) -> np.ndarray:
        """The layer's activation [B, D, h', w'] for `latent` [B, 4, h, w]; arguments as
        `Model.activations`'."""
        return self.model._forward(self.name, latent, timestep, prompt, context, tokens, trace=False)[0]

    def forward(
        self, latent: Any, *, timestep: Any, prompt: Prompt = "", context: Any = None, tokens: bool = False
    ) -> Tuple[np.ndarray, VectorJacobianProduct]:
        """The activation, and its vector-Jacobian product: `value, vjp = …; gradient = vjp(cotangent)`."""
        value, vjp = self.model._forward(self.name, latent, timestep, prompt, context, tokens, trace=True)
        assert vjp is not None
        return value, vjp

    def gradient(
        self,
        latent: Any,
        cotangent: Any,
        *,
        timestep: Any,
        prompt: Prompt = "",
        context: Any = None,
        tokens: bool = False,
    ) -> np.ndarray:
        """The gradient [B, 4, h, w] at `latent` of Σ cotangent · activation, for a cotangent of its shape."""
        _, vjp = self.forward(latent, timestep=timestep, prompt=prompt, context=context, tokens=tokens)
        with vjp:
            return vjp(cotangent)

    def dream(self, **arguments: Any) -> "Dream":
        """What a feature, a channel or a direction looks for; arguments as `lvo.dream`'s after its first."""
        from .dreams import dream

        return dream(self, **arguments)

    def add(
        self,
        strength: float,
        *,
        channel: Optional[int] = None,
        feature: Optional[int] = None,
        direction: Any = None,
        sae: Any = None,
        timesteps: Optional[Tuple[float, float]] = None,
    ) -> Steer:
        """Steering: adds `strength` times a channel, a feature's decoder row or a direction [D] while a
        picture is drawn."""
        return Steer(self.name, "add", strength, channel, feature, direction, sae, timesteps)

    def clamp(
        self, value: float, *, feature: int, sae: Any = None, timesteps: Optional[Tuple[float, float]] = None
    ) -> Steer:
        """Steering: the feature's activation becomes `value`; the rest of the reconstruction and its error
        stay."""
        return Steer(self.name, "clamp", value, None, feature, None, sae, timesteps)

    def scale(
        self, factor: float, *, feature: int, sae: Any = None, timesteps: Optional[Tuple[float, float]] = None
    ) -> Steer:
        """Steering: the feature's activation times `factor`."""
        return Steer(self.name, "scale", factor, None, feature, None, sae, timesteps)

    def ablate(
        self, feature: int, *, sae: Any = None, timesteps: Optional[Tuple[float, float]] = None
    ) -> Steer:
        """Steering: the feature's activation becomes 0."""
        return Steer(self.name, "ablate", None, None, feature, None, sae, timesteps)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<lvo.Layer {self.name}: {self.channels} channels, {self.height}×{self.width}>"


class LayerList(Sequence[Layer]):
    """Layers in the order of computation, by number or by name. Shows itself as a table in a notebook."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers: List[Layer] = list(layers)
        self._by_name = {layer.name: layer for layer in self._layers}

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return LayerList(self._layers[key])
        if not isinstance(key, str):
            return self._layers[key]
        if key not in self._by_name:
            near = difflib.get_close_matches(key, self._by_name, 3, 0.3)
            raise InvalidArgument(
                f"layer {key}: there is none of that name; near it are {', '.join(near) or 'none'}"
            )
        return self._by_name[key]

    def __contains__(self, key: object) -> bool:
        return key in self._by_name or key in self._layers

    def __repr__(self) -> str:
        return f"<{len(self)} layers, {self[0].name} … {self[-1].name}>" if self._layers else "<0 layers>"

    def _repr_html_(self) -> str:
        columns = ("name", "channels", "height", "width", "cost", "parameters")
        rows = [{name: getattr(layer, name) for name in columns} for layer in self]
        return rows_html(columns, rows, len(rows))
