"""liblvo.so, its functions declared as lvo.h has them. A call lets go of Python's lock while it runs."""

import ctypes
import json
import os
from pathlib import Path
from typing import Any, Dict, List

from .errors import BY_CODE, Failed, NotFound


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("message", ctypes.c_char * 1020)]


Progress = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p)

# A letter for each argument: p pointer or handle, o pointer to a pointer that is made, s text, i int32,
# l int64, u uint64, c callback. The error comes last everywhere.
_LETTERS = {
    "p": ctypes.c_void_p,
    "o": ctypes.POINTER(ctypes.c_void_p),
    "s": ctypes.c_char_p,
    "i": ctypes.c_int32,
    "l": ctypes.c_int64,
    "u": ctypes.c_uint64,
    "c": Progress,
}
# Latent and shape, time steps and their number, context and shape.
_SAMPLE = "ppplpp"
_FUNCTIONS = {
    "result_json": "po",
    "result_names": "po",
    "result_array": "psoppp",
    "model_open": "so",
    "model_close": "p",
    "model_cancel": "p",
    "model_describe": "piio",
    "model_tokenize": "pso",
    "model_encode": "pso",
    "model_activations": "ppi" + _SAMPLE + "ipp",
    "model_forward": "ps" + _SAMPLE + "iplo",
    "trace_gradient": "pplpl",
    "model_replaced": "pspli" + _SAMPLE + "pl",
    "model_encode_pictures": "pppiupl",
    "model_decode": "pppplpl",
    "sae_open": "so",
    "sae_close": "p",
    "sae_cancel": "p",
    "sae_describe": "po",
    "sae_parameters": "po",
    "sae_encode": "pppipl",
    "sae_encode_top": "ppplppl",
    "sae_decode": "pppppl",
    "sae_decode_top": "ppppppl",
    "sae_save": "pssssi",
    "trainer_open": "so",
    "trainer_close": "p",
    "trainer_cancel": "p",
    "trainer_describe": "po",
    "trainer_step": "ppplo",
    "trainer_sae": "po",
    "model_generate": "pspppicpo",
    "model_dream": "pspppicpo",
}


def _load() -> ctypes.CDLL:
    path = os.environ.get("LVO_LIBRARY") or str(Path(__file__).parent / "native" / "liblvo.so")
    if not os.path.isfile(path):
        raise NotFound(
            f"{path}: the library is missing; install lvo's wheel, or name a liblvo.so in LVO_LIBRARY"
        )
    try:
        _load_beside(Path(path))
        library = ctypes.CDLL(path)
    except OSError as problem:
        raise NotFound(f"{path}: cannot be loaded ({problem})") from None
    for name, letters in _FUNCTIONS.items():
        function = getattr(library, "lvo_" + name)
        function.restype = ctypes.c_int32
        function.argtypes = [_LETTERS[letter] for letter in letters] + [ctypes.POINTER(_Error)]
    for kind in ("model", "trace", "sae", "trainer", "result"):
        free = getattr(library, f"lvo_{kind}_free")
        free.restype, free.argtypes = None, [ctypes.c_void_p]
    library.lvo_text_free.restype, library.lvo_text_free.argtypes = None, [ctypes.c_void_p]
    library.lvo_version.restype, library.lvo_version.argtypes = ctypes.c_char_p, []
    return library


def _load_beside(path: Path) -> None:
    """Loads the wheel's other libraries first, each after those that it needs: not all look beside themselves."""
    waiting = [other for other in path.parent.glob("*.so*") if other != path] if path.parent.name == "native" else []
    while waiting:
        left = [other for other in waiting if not _is_loaded(other)]
        if len(left) == len(waiting):
            return
        waiting = left


def _is_loaded(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path))
    except OSError:
        return False
    return True


_library = _load()


def version() -> str:
    """The library's version, the program's too."""
    return _library.lvo_version().decode()


def call(name: str, *arguments: Any) -> None:
    """Calls `lvo_name`; raises the exception of the code that it returns."""
    error = _Error()
    code = getattr(_library, "lvo_" + name)(*arguments, ctypes.byref(error))
    if code:
        raise BY_CODE.get(code, Failed)(error.message.decode("utf-8", "replace") or name)


def made(name: str, *arguments: Any) -> int:
    """Calls a function whose last argument is a pointer that it makes; that pointer."""
    pointer = ctypes.c_void_p()
    call(name, *arguments, ctypes.byref(pointer))
    return pointer.value or 0


def told(name: str, *arguments: Any) -> Any:
    """Calls a function whose last argument is JSON text that it makes; its value."""
    pointer = made(name, *arguments)
    try:
        return json.loads(ctypes.string_at(pointer))
    finally:
        _library.lvo_text_free(pointer)


def free(kind: str, pointer: int) -> None:
    """Gives a handle back."""
    getattr(_library, f"lvo_{kind}_free")(pointer)


def settings(values: Dict[str, Any]) -> bytes:
    """Settings as the library reads them; None stands for what is not given."""
    given = {key: value for key, value in values.items() if value is not None}
    return json.dumps(given, allow_nan=False).encode()


def extents(shape: Any) -> Any:
    """A shape as an array of int64."""
    return (ctypes.c_int64 * len(shape))(*shape)


def pointers(values: List[int]) -> Any:
    """Addresses as an array of pointers."""
    return (ctypes.c_void_p * max(1, len(values)))(*values)


def texts(values: List[str]) -> Any:
    """Strings as an array of texts."""
    return (ctypes.c_char_p * max(1, len(values)))(*(value.encode() for value in values))
