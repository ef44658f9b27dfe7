"""A stand-in for diffusers' U-Net in its pipelines. Takes torch alone; diffusers is whoever calls it."""

from types import SimpleNamespace
from typing import Any, Dict, Iterator, Optional, Tuple, Union

import torch

from ..errors import InvalidArgument
from ..model import Model
from .layers import UNet


class _Config(SimpleNamespace):
    """The U-Net's configuration, by attribute and by key, as diffusers' FrozenDict."""

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def get(self, name: str, default: Any = None) -> Any:
        return self.__dict__.get(name, default)


class _Output(SimpleNamespace):
    """diffusers' UNet2DConditionOutput: `sample`, also as item 0."""

    def __getitem__(self, index: Union[int, str]) -> torch.Tensor:
        return self.sample if index == "sample" else (self.sample,)[int(index)]


class DiffusersUNet(torch.nn.Module):
    """`pipe.unet = lvo.torch.diffusers_unet(model)`: the pipeline goes on as it was, computed by lvo.

    Differentiable in `sample`. What Stable Diffusion 1.x pipelines never pass (ControlNet's residuals, masks,
    classes) is refused by name.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.unet = UNet(model)
        self.config = _Config(**_configuration(model))

    @property
    def dtype(self) -> torch.dtype:
        """What the pipeline is to hand over: float32."""
        return torch.float32

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def forward(
        self,
        sample: torch.Tensor,
        timestep: Any,
        encoder_hidden_states: torch.Tensor,
        return_dict: bool = True,
        **other: Any,
    ) -> Union[_Output, Tuple[torch.Tensor]]:
        """
        sample: [B, 4, h, w]; encoder_hidden_states: [1 or B, tokens, width].
        Returns the predicted noise [B, 4, h, w]: in a tuple, or as `.sample` with `return_dict`.
        """
        _refuse(other)
        noise = self.unet(sample, timestep, encoder_hidden_states)
        return _Output(sample=noise) if return_dict else (noise,)


def diffusers_unet(model: Model) -> DiffusersUNet:
    """A drop-in for diffusers' UNet2DConditionModel with the weights of `model`."""
    return DiffusersUNet(model)


def _refuse(arguments: Dict[str, Optional[Any]]) -> None:
    for name, value in arguments.items():
        if value is not None and not (isinstance(value, dict) and not value):
            raise InvalidArgument(f"{name}: not what lvo's U-Net can take")


def _configuration(model: Model) -> Dict[str, Any]:
    """What pipelines ask of a U-Net's configuration."""
    info = model.info
    return {
        "in_channels": info["latent_channels"],
        "out_channels": info["latent_channels"],
        "sample_size": info["latent_size"][0],
        "cross_attention_dim": info["context_width"],
        "time_cond_proj_dim": None,
        "center_input_sample": False,
    }
