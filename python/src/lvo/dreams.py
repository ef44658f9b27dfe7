"""Dreams: latents that make a feature, a channel or a direction of a layer as active as possible."""

import html
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from .arrays import floats
from .errors import InvalidArgument
from .generation import target
from .handle import Result
from .layers import Layer
from .pictures import data_url, pixels
from .pictures import picture as as_picture
from .running import Callback, run

Integers = Union[int, Sequence[int]]
# A term of a weighted sum: {"feature": 320, "weight": -1.0}; or "channel", or "direction" [D].
Term = Dict[str, Any]


class Dream:
    """The results of a dream: one for every time step, objective and seed, in this order.

    pictures: Pillow images, or arrays [H, W, 3] without Pillow; empty with `decode=False`.
    latents: [n, 4, h, w].
    activations: [n, steps], what every step saw before its update.
    records: what `lvo dream` writes beside each picture. settings: every parameter.
    snapshots: per batch the step numbers [s] and latents [s, B, 4, h, w].
    """

    def __init__(self, result: Result) -> None:
        names, about = set(result.names), result.json
        self.latents = result.copy("latents")
        self.pictures: List[Any] = (
            [as_picture(one) for one in result.copy("pictures")] if "pictures" in names else []
        )
        self.activations = result.copy("activations")
        self.records: List[Dict[str, Any]] = about["records"]
        self.settings: Dict[str, Any] = about["settings"]
        self.snapshots: List[Tuple[np.ndarray, np.ndarray]] = []
        while f"snapshots/{len(self.snapshots)}" in names:
            name = f"snapshots/{len(self.snapshots)}"
            self.snapshots.append((result.copy(f"{name}/steps"), result.copy(name)))

    @property
    def picture(self) -> Any:
        """The first picture."""
        return self.pictures[0]

    @property
    def record(self) -> Dict[str, Any]:
        """The first record."""
        return self.records[0]

    def __repr__(self) -> str:
        return f"<lvo.Dream of {len(self.latents)} results, activations {self._final()}>"

    def _final(self) -> List[float]:
        return [float(f"{record['final_activation']:.3g}") for record in self.records]

    def _repr_html_(self) -> str:
        figures = []
        for picture, record, final in zip(self.pictures, self.records, self._final()):
            start = f"{record['start_activation']:.3g}"
            caption = html.escape(f"{start} → {final:.3g}")
            figures.append(
                '<figure style="display:inline-block;margin:4px">'
                f'<img src="{data_url(pixels(picture))}" style="width:96px">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        return "<div>" + "".join(figures) + "</div>" if figures else f"<code>{html.escape(repr(self))}</code>"


def dream(
    layer: Layer,
    *,
    timestep: Integers,
    feature: Optional[Integers] = None,
    channel: Optional[Integers] = None,
    direction: Any = None,
    objective: Optional[Sequence[Term]] = None,
    sae: Any = None,
    seed: Optional[Integers] = None,
    preset: str = "clear",
    prompt: str = "",
    start: Any = None,
    init: Optional[str] = None,
    width: Optional[int] = None,
    height: Optional[int] = None,
    batch: Optional[int] = None,
    every: Optional[int] = None,
    decode: bool = True,
    callback: Optional[Callback] = None,
    progress: Optional[bool] = None,
    **parameters: Any,
) -> Dream:
    """Dreams of a layer: `layer.dream(feature=7, sae=sae, timestep=301)`.

    feature, channel: a number, or several: a dream each. direction: [D]. objective: terms of a weighted sum,
        `[{"feature": 320}, {"feature": 570, "weight": -1}]`. One of these four.
    sae: for features; the model's own unless given.
    timestep, seed: one or several, steps from 0 to 999; five seeds of the program's unless given.
    preset: "clear" (begins from pictures that the model draws by itself), "tuned", "raw", "sae"
        (docs/dreams.md).
    start: latents [N, 4, h, w] to begin from, one per seed in turn.
    init: "noise", "pool", "pool:N".
    batch: latents computed together. every: steps between snapshots. decode: False: latents alone.
    parameters: steps, learning_rate, where, rectifier, redraws and the rest, by the names of records.
    callback, progress: as `Model.draw`'s; steps are those of all batches.
    """
    saes: List[Any] = []
    settings = {
        "layer": layer.name,
        "objectives": _objectives(feature, channel, direction, objective, sae, saes),
        "timesteps": np.atleast_1d(timestep).tolist(),
        "seeds": None if seed is None else np.atleast_1d(seed).tolist(),
        "preset": preset,
        "prompt": prompt,
        "init": init,
        "width": width,
        "height": height,
        "batch": batch,
        "every": every,
        "decode": decode,
        **parameters,
    }
    model = layer.model
    latents = (
        None
        if start is None
        else floats(start, "start", (None, *model.latent_shape[:1], None, None), batch=True)
    )
    extents = () if latents is None else latents.shape
    return Dream(run("model_dream", model, settings, saes, latents, extents, callback, progress, "dreaming"))


def _objectives(
    feature: Any, channel: Any, direction: Any, objective: Any, sae: Any, saes: List[Any]
) -> List[Union[Term, List[Term]]]:
    given = [
        name
        for name, value in (
            ("feature", feature),
            ("channel", channel),
            ("direction", direction),
            ("objective", objective),
        )
        if value is not None
    ]
    if len(given) != 1:
        raise InvalidArgument(
            f"expected one of feature, channel, direction and objective, found {given or 'none'}"
        )
    if objective is not None:
        return [[target({"sae": sae if "feature" in term else None, **term}, saes) for term in objective]]
    if direction is not None:
        return [target({"direction": direction}, saes)]
    if channel is not None:
        return [{"channel": one} for one in np.atleast_1d(channel).tolist()]
    return [target({"feature": one, "sae": sae}, saes) for one in np.atleast_1d(feature).tolist()]
