"""A Stable Diffusion model: its layers, activations, gradients, pictures."""

import os
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import library
from .arrays import floats
from .errors import InvalidArgument
from .generation import Drawing
from .handle import Result
from .layers import Layer, LayerList
from .sample import NOISE, Sample
from .trace import VectorJacobianProduct

PathLike = Union[str, "os.PathLike[str]"]
LoRA = Union[PathLike, Tuple[PathLike, float]]


class Model(Drawing):
    """An opened model. Reading its weights waits until something needs them.

    Latents are [B, 4, h, w] (one may be [4, h, w]), contexts [1 or B, tokens, width], activations [B, D,
    h', w'] as diffusers has them or, where asked for, rows [B, h'·w', D]; all float32. Other kinds of
    numbers are converted; contiguous float32 arrays are handed over as they are. Several threads may use
    one model: their calls take turns.
    """

    kind = "model"

    def __init__(
        self,
        model: PathLike = "embedded",
        *,
        sae: Optional[PathLike] = None,
        vae: Optional[PathLike] = None,
        loras: Sequence[LoRA] = (),
        embeddings: Sequence[Union[PathLike, Tuple[PathLike, str]]] = (),
        allow_unused: bool = False,
        precision: str = "f32",
        threads: Optional[int] = None,
        memory: Optional[int] = None,
        cache: Optional[PathLike] = "~/.cache/lvo",
        cache_limit: Optional[int] = None,
        instruction_set: Optional[str] = None,
    ) -> None:
        """
        model: a folder in diffusers layout, a .safetensors, .ckpt or .gguf file, or "embedded", the small
            one inside lvo.
        sae: a folder of one SAE or of several named by layer, or "embedded": for features where no `SAE`
            object is given.
        vae: a VAE in place of the model's own.
        loras: files, or (file, scale), merged in this order.
        embeddings: textual inversions: files, or (file, word).
        allow_unused: whether parts of a LoRA may fit nothing in the model.
        precision: of products: "f32", "bf16" (faster on CPUs that have it), "auto".
        threads: all physical cores unless given.
        memory: bytes that the process may use; what is free unless given.
        cache: where checksums, pools of pictures and the weights of large models, as layers read them, are
            kept; None: nowhere. cache_limit: bytes that those weights may take there (20 GB); 0: none.
        instruction_set: the best that there is unless given.
        """
        settings = {
            "model": os.fspath(model),
            "autoencoders": sae and os.fspath(sae),
            "vae": vae and os.fspath(vae),
            "loras": [dict(zip(("path", "scale"), _pair(lora))) for lora in loras] or None,
            "embeddings": [dict(zip(("path", "token"), _pair(one))) for one in embeddings] or None,
            "allow_unused": allow_unused or None,
            "precision": precision,
            "threads": threads,
            "memory": memory,
            "cache": cache and os.path.expanduser(cache),
            "cache_limit": cache_limit,
            "instruction_set": instruction_set,
        }
        super().__init__(library.made("model_open", library.settings(settings)))
        self._known: Dict[Tuple[int, int], Dict[str, Any]] = {}
        self._contexts: Dict[str, np.ndarray] = {}
        self.info: Dict[str, Any] = self._described((0, 0))
        self.layers = LayerList(Layer(self, about) for about in self.info["layers"])

    # -- what it is

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.info["name"]

    @property
    def latent_shape(self) -> Tuple[int, int, int]:
        """[channels, height, width] of the latents that it was trained on."""
        return (self.info["latent_channels"], *self.info["latent_size"])

    @property
    def alphas_cumprod(self) -> np.ndarray:
        """ᾱ_t for every time step t: a noised latent is √ᾱ·latent + √(1−ᾱ)·noise. float64 [1000]."""
        return np.array(self.info["alphas_cumprod"])

    def layer(self, name: str) -> Layer:
        """The hook point of that name, as checkpoints have it: `up_blocks.1.attentions.1`."""
        return self.layers[name]

    # -- text

    def tokenize(self, prompt: str) -> Dict[str, Any]:
        """`ids` (start, end and padding among them), `length` before cutting, `dropped`: what did not fit,
        or None."""
        return library.told("model_tokenize", self.pointer, prompt.encode())

    def encode_prompt(
        self, prompt: Union[str, Sequence[str]], clip_skip: int = 0, emphasis: bool = False
    ) -> np.ndarray:
        """The text encoder's hidden states [number of prompts, tokens, width]."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        given = {"prompts": prompts, "clip_skip": clip_skip, "emphasis": emphasis}
        return Result(library.made("model_encode", self.pointer, library.settings(given))).copy("context")

    # -- the U-Net

    def activations(
        self,
        layers: Sequence[Union[str, Layer]],
        latent: Any,
        *,
        timestep: Any,
        prompt: Union[str, Sequence[str]] = "",
        context: Any = None,
        tokens: bool = False,
    ) -> Dict[str, np.ndarray]:
        """Activations of several layers by name, from one pass that ends at the deepest of them.

        timestep: from 0 (a picture) to 999 (noise), one or one per sample. `tokens`: rows [B, h'·w', D],
        as SAEs take them, instead of maps [B, D, h', w'].
        """
        names = [str(layer) for layer in layers]
        sample = Sample(self, latent, timestep, prompt, context)
        outputs = [sample.output(name, tokens) for name in names]
        library.call(
            "model_activations",
            self.pointer,
            library.texts(names),
            len(names),
            *sample.arguments,
            int(not tokens),
            library.pointers([output.ctypes.data for output in outputs]),
            library.extents([output.size for output in outputs]),
        )
        return dict(zip(names, outputs))

    def noise(
        self,
        latent: Any,
        *,
        timestep: Any,
        prompt: Union[str, Sequence[str]] = "",
        context: Any = None,
        replace: Optional[Mapping[Union[str, Layer], Any]] = None,
    ) -> np.ndarray:
        """Predicted noise [B, 4, h, w]; with `replace={layer: activation}` that layer's activation is
        taken from there: maps, or rows [B, h'·w', D]."""
        if not replace:
            return self._forward(NOISE, latent, timestep, prompt, context, False, trace=False)[0]
        if len(replace) != 1:
            raise InvalidArgument(f"replace: {len(replace)} layers, expected one")
        ((layer, activation),) = replace.items()
        name, tokens = str(layer), np.ndim(activation) == 3
        sample = Sample(self, latent, timestep, prompt, context)
        values = floats(activation, f"replace[{name}]", sample.output(name, tokens).shape)
        output = sample.output(NOISE)
        library.call(
            "model_replaced",
            self.pointer,
            name.encode(),
            values.ctypes.data,
            values.size,
            int(not tokens),
            *sample.arguments,
            output.ctypes.data,
            output.size,
        )
        return output

    def noise_forward(
        self, latent: Any, *, timestep: Any, prompt: Union[str, Sequence[str]] = "", context: Any = None
    ) -> Tuple[np.ndarray, VectorJacobianProduct]:
        """Predicted noise [B, 4, h, w], and its vector-Jacobian product, as `Layer.forward`'s."""
        value, trace = self._forward(NOISE, latent, timestep, prompt, context, False, trace=True)
        assert trace is not None
        return value, trace

    def _forward(
        self, name: str, latent: Any, timestep: Any, prompt: Any, context: Any, tokens: bool, *, trace: bool
    ) -> Tuple[np.ndarray, Optional[VectorJacobianProduct]]:
        sample = Sample(self, latent, timestep, prompt, context)
        output = sample.output(name, tokens)
        arguments = (
            "model_forward",
            self.pointer,
            name.encode(),
            *sample.arguments,
            int(not tokens),
            output.ctypes.data,
            output.size,
        )
        if not trace:
            library.call(*arguments, None)
            return output, None
        return output, VectorJacobianProduct(library.made(*arguments), output.shape, sample.latent.shape)

    def _described(self, size: Tuple[int, int]) -> Dict[str, Any]:
        if size not in self._known:
            about = library.told("model_describe", self.pointer, *size)
            about["sizes"] = {
                one["name"]: (one["channels"], one["height"], one["width"]) for one in about["layers"]
            }
            self._known[size] = about
        return self._known[size]

    def _context(self, prompt: Union[str, Sequence[str]]) -> np.ndarray:
        if not isinstance(prompt, str):
            return self.encode_prompt(prompt)
        if prompt not in self._contexts:
            while len(self._contexts) >= 64:
                self._contexts.pop(next(iter(self._contexts)), None)
            self._contexts[prompt] = self.encode_prompt(prompt)
        return self._contexts[prompt]

    def __repr__(self) -> str:
        return f"<lvo.Model {self.info['model']!r}, {self.info['precision']}, {self.info['threads']} threads>"


def _pair(value: Any) -> Tuple[Any, ...]:
    """A file, or a file and what belongs to it."""
    parts = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return (os.fspath(parts[0]), *parts[1:2])
