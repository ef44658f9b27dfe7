"""Drawing pictures, steering and recording on the way; pictures to latents and back."""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import library
from .arrays import floats
from .errors import InvalidArgument
from .handle import Handle, Result
from .pictures import picture as as_picture
from .pictures import pixels
from .running import Callback, run

if TYPE_CHECKING:
    from .sae import SAE


class Steer(NamedTuple):
    """An edit of a layer while a picture is drawn; `Layer.add`, `clamp`, `scale` and `ablate` make them.

    timesteps: (first, last), both included, 999 being noise; None: all.
    """

    layer: str
    edit: str
    strength: Optional[float] = None
    channel: Optional[int] = None
    feature: Optional[int] = None
    direction: Any = None
    sae: Optional["SAE"] = None
    timesteps: Optional[Tuple[float, float]] = None


class Record(NamedTuple):
    """What to keep of a layer while a picture is drawn: `space` "channels" or "features" (of the model's
    SAE), `form` "means" over positions or "maps"; of guidance's halves the one with the prompt. timesteps:
    as `Steer`'s."""

    layer: str
    space: str = "channels"
    form: str = "means"
    timesteps: Optional[Tuple[float, float]] = None


class Recording(NamedTuple):
    """One picture's activations at one layer: `values` [steps, D or L], or [steps, h'·w', D or L] for
    maps."""

    timesteps: np.ndarray
    values: np.ndarray


class Generation:
    """Pictures that were drawn.

    pictures: Pillow images, or arrays [H, W, 3] without Pillow.
    latents: [n, 4, h, w].
    about: per picture its prompt, seed, size, and `parameters`, the text that web interfaces keep in a PNG.
    recordings: per picture a `Recording` for each `Record` that was asked for.
    """

    def __init__(self, result: Result, records: int) -> None:
        self.latents = result.copy("latents")
        self.pictures: List[Any] = [as_picture(one) for one in result.copy("pictures")]
        self.about: List[Dict[str, Any]] = result.json["pictures"]
        self.recordings: List[List[Recording]] = [
            [
                Recording(result.array(f"record/{i}/{p}/timesteps"), result.array(f"record/{i}/{p}"))
                for i in range(records)
            ]
            for p in range(len(self.latents))
        ]

    def __repr__(self) -> str:
        return f"<lvo.Generation of {len(self.latents)} pictures>"


class Drawing(Handle):
    """The part of `Model` that makes pictures."""

    info: Dict[str, Any]

    def generate(
        self, prompt: Union[str, Sequence[str]] = "", *, seed: Union[int, Sequence[int]] = 0, **arguments: Any
    ) -> Any:
        """The picture of a prompt and a seed (Pillow's, if installed); a list of them for several prompts
        or seeds.

        Arguments as `draw`'s, which also gives latents, recorded activations and parameters.
        """
        pictures = self.draw(prompt, seed=seed, **arguments).pictures
        return pictures[0] if isinstance(prompt, str) and np.ndim(seed) == 0 else pictures

    def draw(
        self,
        prompt: Union[str, Sequence[str]] = "",
        *,
        seed: Union[int, Sequence[int]] = 0,
        negative_prompt: str = "",
        steps: Optional[int] = None,
        guidance_scale: Optional[float] = None,
        sampler: Optional[str] = None,
        width: Optional[int] = None,
        height: Optional[int] = None,
        picture: Any = None,
        strength: Optional[float] = None,
        steer: Union[Steer, Sequence[Steer]] = (),
        ablate: Union[Tuple[str, int], Sequence[Tuple[str, int]]] = (),
        record: Union[Record, Sequence[Record]] = (),
        clip_skip: int = 0,
        emphasis: bool = False,
        prediction: Optional[str] = None,
        callback: Optional[Callback] = None,
        progress: Optional[bool] = None,
    ) -> Generation:
        """Draws every prompt with every seed; a seed gives diffusers' picture.

        steps, guidance_scale, sampler: 50, 7.5, the model's own unless given (`info["samplers"]` names all).
        width, height: pixels; the model's own unless given.
        picture: to start from, of which `strength` (0.8) is replaced.
        steer: edits that `Layer.add`, `clamp`, `scale` and `ablate` make.
        ablate: (layer, feature) pairs of the model's SAE.
        record: activations to keep, as `Record` says.
        callback: called with a `Step` after every U-Net call; something true from it stops (Cancelled).
        progress: False: no bar; else tqdm's, if installed.
        """
        edits = _listed(steer, Steer) + [
            Steer(str(layer), "ablate", feature=feature) for layer, feature in _pairs(ablate)
        ]
        records = _listed(record, Record)
        saes: List["SAE"] = []
        settings = {
            "prompts": [prompt] if isinstance(prompt, str) else list(prompt),
            "seeds": np.atleast_1d(seed).tolist(),
            "negative_prompt": negative_prompt,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "sampler": sampler,
            "width": width,
            "height": height,
            "strength": strength,
            "clip_skip": clip_skip,
            "emphasis": emphasis,
            "prediction": prediction,
            "steer": [target(edit._asdict(), saes) for edit in edits],
            "record": [target(one._asdict(), saes) for one in records],
        }
        start = None if picture is None else pixels(picture)
        extents = () if start is None else start.shape[:2]
        result = run("model_generate", self, settings, saes, start, extents, callback, progress, "drawing")
        return Generation(result, len(records))

    def encode(self, pictures: Any, *, seed: Optional[int] = None) -> np.ndarray:
        """Latents [B, 4, H/8, W/8] (by the VAE's factor) of a picture or a list of them: Pillow's, files,
        or arrays [H, W, 3] of 8 bits or from 0 to 1. The mean; with a seed a draw from the VAE's
        distribution."""
        single = not isinstance(pictures, (list, tuple)) and np.ndim(pictures) != 4
        arrays = [pixels(one) for one in ([pictures] if single else pictures)]
        if not arrays or any(array.shape != arrays[0].shape for array in arrays):
            raise InvalidArgument("pictures: expected some, all of one size")
        values = np.stack(arrays).astype(np.float32) / np.float32(127.5) - 1
        batch, height, width, _ = values.shape
        factor = self.info["pixel_factor"]
        latents = np.empty(
            (batch, self.info["latent_channels"], height // factor, width // factor), np.float32
        )
        library.call(
            "model_encode_pictures",
            self.pointer,
            values.ctypes.data,
            library.extents(values.shape),
            int(seed is not None),
            seed or 0,
            latents.ctypes.data,
            latents.size,
        )
        return latents

    def decode(self, latents: Any) -> Any:
        """Pictures of latents [B, 4, h, w] as a list; of one latent [4, h, w] the picture alone."""
        values = floats(latents, "latents", (None, self.info["latent_channels"], None, None), batch=True)
        (batch, _, height, width), factor = values.shape, self.info["pixel_factor"]
        rgb = np.empty((batch, factor * height, factor * width, 3), np.uint8)
        library.call(
            "model_decode",
            self.pointer,
            values.ctypes.data,
            library.extents(values.shape),
            None,
            0,
            rgb.ctypes.data,
            rgb.size,
        )
        pictures = [as_picture(one) for one in rgb]
        return pictures[0] if np.ndim(latents) == 3 else pictures


def target(values: Dict[str, Any], saes: List["SAE"]) -> Dict[str, Any]:
    """The settings of an edit or a term: without what is None, `sae` as its place in `saes`, which grows
    by it."""
    given = {key: value for key, value in values.items() if value is not None}
    if "layer" in given:
        given["layer"] = str(given["layer"])
    if "direction" in given:
        given["direction"] = floats(given["direction"], "direction", (None,)).tolist()
    if "timesteps" in given:
        given["timesteps"] = list(given["timesteps"])
    sae = given.pop("sae", None)
    if sae is not None:
        if not any(sae is known for known in saes):
            saes.append(sae)
        given["sae"] = next(place for place, known in enumerate(saes) if known is sae)
    return given


def _listed(value: Any, kind: type) -> List[Any]:
    values = [value] if isinstance(value, kind) else list(value)
    for one in values:
        if not isinstance(one, kind):
            raise InvalidArgument(f"{one!r}: expected lvo.{kind.__name__}")
    return values


def _pairs(value: Any) -> List[Any]:
    return [value] if isinstance(value, tuple) and len(value) == 2 and np.ndim(value[1]) == 0 else list(value)
