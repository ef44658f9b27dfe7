"""Training sparse autoencoders on rows from anywhere."""

from typing import Any, Callable, Dict, Iterable, Iterator, Optional

import numpy as np

from . import library
from .arrays import floats
from .errors import InvalidArgument
from .handle import Handle
from .running import bar
from .sae import SAE


class Trainer(Handle):
    """Trains one autoencoder, batch by batch. `train` does it for an iterator."""

    kind = "trainer"

    def __init__(self, width: int, **settings: Any) -> None:
        """
        width: D, the layer's channels. The rest as in `lvo sae train`, by the names of lvo.h: rule
        ("batch_topk"; "topk", "sample_topk", "relu", "jumprelu"), latents or expansion (16), k (32), steps
        (1000), batch_tokens (4096), learning_rate, schedule ("constant"; "linear", "cosine"), warm_up,
        auxk_alpha, l1, l0, bandwidth, max_gradient_norm, dead_after_tokens, resample_every, prefixes,
        multi_topk, input_unit_norm, seed, threads, precision.
        """
        super().__init__(library.made("trainer_open", library.settings({"width": width, **settings})))
        self.settings: Dict[str, Any] = library.told("trainer_describe", self.pointer)

    @property
    def batch_tokens(self) -> int:
        """Rows of a batch."""
        return self.settings["batch_tokens"]

    @property
    def is_finished(self) -> bool:
        """Whether all `steps` are done."""
        return library.told("trainer_describe", self.pointer)["is_finished"]

    def step(self, batch: Any, positions: int = 1) -> Dict[str, Any]:
        """One update on `batch` [batch_tokens, D]; what it measured, as in metrics.csv (loss, fvu, l0,
        dead_percent, …).

        positions: rows of a sample, for sample_topk.
        """
        rows = floats(batch, "batch", (self.batch_tokens, self.settings["width"]))
        return library.told(
            "trainer_step", self.pointer, rows.ctypes.data, library.extents(rows.shape), positions
        )

    def sae(self) -> SAE:
        """The autoencoder as it is now; training on does not change it."""
        return SAE(library.made("trainer_sae", self.pointer))


def train(
    batches: Iterable[Any],
    *,
    buffer: int = 0,
    callback: Optional[Callable[[Dict[str, Any]], Any]] = None,
    progress: Optional[bool] = None,
    **settings: Any,
) -> SAE:
    """Trains an SAE on the rows that `batches` yields: arrays [..., D], of any number of rows each.

    Ends after `steps` updates, or with the iterator. buffer: rows that are mixed at random before they are
    used; rows that come map by map need it. callback: gets every step's measures; something true from it
    stops, and what has been trained is returned. The settings are `Trainer`'s.
    """
    source = mixed(_rows(batches), buffer, settings.get("seed") or 0) if buffer else _rows(batches)
    first = next(source, None)
    if first is None:
        raise InvalidArgument("batches: no rows")
    with Trainer(first.shape[1], **settings) as trainer:
        total = trainer.settings["steps"]
        shown = bar(progress, "training", total)
        try:
            for done, batch in enumerate(_batches(first, source, trainer.batch_tokens), 1):
                measures = trainer.step(batch)
                if shown is not None:
                    shown.set_postfix(fvu=f"{measures['fvu']:.3f}")
                    shown.update()
                is_told_to_stop = callback is not None and callback(measures)
                if done == total or is_told_to_stop:
                    break
        finally:
            if shown is not None:
                shown.close()
        return trainer.sae()


def mixed(rows: Iterable[np.ndarray], size: int, seed: int = 0) -> Iterator[np.ndarray]:
    """The same rows in random order: a buffer of `size` rows gives half of them away whenever it is full."""
    draw, held, count = np.random.default_rng(seed), [], 0
    for array in rows:
        held.append(array)
        count += len(array)
        if count >= size:
            whole = draw.permutation(np.concatenate(held))
            held, count = [whole[count // 2 :]], count - count // 2
            yield whole[: len(whole) - count]
    if held:
        yield draw.permutation(np.concatenate(held))


def _rows(batches: Iterable[Any]) -> Iterator[np.ndarray]:
    for array in batches:
        values = np.asarray(array)
        if values.ndim < 2:
            raise InvalidArgument(f"batches: an array of shape {list(values.shape)}, expected [..., D]")
        yield floats(values.reshape(-1, values.shape[-1]), "batches", (None, None))


def _batches(first: np.ndarray, rest: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same rows, `size` at a time; what is left at the end is too little for a batch."""
    held, count = [first], len(first)
    while True:
        while count < size:
            more = next(rest, None)
            if more is None:
                return
            held.append(more)
            count += len(more)
        whole = held[0] if len(held) == 1 else np.concatenate(held)
        yield whole[:size]
        held, count = [whole[size:]], count - size
