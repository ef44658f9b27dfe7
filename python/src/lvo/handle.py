"""Handles of the library: freed with their objects, refused when closed or pickled; and results."""

import ctypes
import threading
import weakref
from typing import Any, Optional

import numpy as np

from . import library
from .errors import Closed, InvalidArgument


class Handle:
    """Owns one of the library's handles. `kind` is `model`, `sae`, `trainer`, `trace` or `result`."""

    kind = ""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer
        self._free = weakref.finalize(self, library.free, self.kind, pointer)
        # The thread whose callback is running: a call from there would wait for itself.
        self._calling_back: Optional[int] = None

    @property
    def pointer(self) -> int:
        """For a call. Raises Closed after `close`, InvalidArgument in a callback of this very object's
        call."""
        if not self._free.alive:
            raise Closed(f"the {self.kind} has been closed")
        if self._calling_back == threading.get_ident():
            raise InvalidArgument(f"the {self.kind} is at work: its callback may use others, not itself")
        return self._pointer

    def close(self) -> None:
        """Lets go of its memory. Closing twice is no error; any other use raises Closed."""
        if self._free.alive and self.kind in ("model", "sae", "trainer"):
            library.call(f"{self.kind}_close", self.pointer)
        self._free()

    def cancel(self) -> None:
        """Stops the call that another thread makes: there it raises Cancelled, at the next block or step."""
        if self._free.alive:
            library.call(f"{self.kind}_cancel", self._pointer)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"a {self.kind} of lvo cannot be pickled: open it in each process")


class Result(Handle):
    """Named arrays, and a JSON value."""

    kind = "result"

    @property
    def json(self) -> Any:
        """What the result tells beside its arrays."""
        return library.told("result_json", self.pointer)

    @property
    def names(self) -> Any:
        """The names of its arrays."""
        return library.told("result_names", self.pointer)

    def array(self, name: str) -> np.ndarray:
        """The array of that name, read-only, without a copy: the result lives as long as the array does."""
        data, kind, rank = ctypes.c_void_p(), ctypes.c_int32(), ctypes.c_int32()
        shape = (ctypes.c_int64 * 8)()
        library.call(
            "result_array",
            self.pointer,
            name.encode(),
            ctypes.byref(data),
            ctypes.byref(kind),
            ctypes.byref(rank),
            shape,
        )
        extents = tuple(shape[: rank.value])
        if 0 in extents:
            return np.zeros(extents, _KINDS[kind.value])
        return np.asarray(_Memory(self, data.value or 0, _KINDS[kind.value], extents))

    def copy(self, name: str) -> np.ndarray:
        """A copy of the array of that name, to be changed at will."""
        return np.array(self.array(name))


# LVO_FLOAT32, LVO_UINT8.
_KINDS = ("<f4", "|u1")


class _Memory:
    """A result's array for NumPy, which keeps this object, and with it the result."""

    def __init__(self, owner: Result, address: int, kind: str, shape: Any) -> None:
        self.owner = owner
        self.__array_interface__ = {"version": 3, "data": (address, True), "typestr": kind, "shape": shape}
