"""Pictures: 8-bit RGB arrays, Pillow's images where Pillow is installed, and PNG for notebooks."""

import base64
import os
import struct
import zlib
from typing import Any, Union

import numpy as np

from .errors import InvalidArgument


def picture(pixels: np.ndarray) -> Any:
    """`pixels` [height, width, 3] (8 bits) as Pillow's image if that is installed, else as they are."""
    try:
        from PIL import Image
    except ImportError:
        return pixels
    return Image.fromarray(pixels)


def pixels(value: Any, name: str = "picture") -> np.ndarray:
    """8-bit RGB [height, width, 3] of a Pillow image, a file's path, or an array: 8-bit, or floats from 0
    to 1."""
    if isinstance(value, (str, os.PathLike)):
        value = _opened(value)
    if hasattr(value, "convert"):
        value = value.convert("RGB")
    array = np.asarray(value)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InvalidArgument(f"{name}: shape {list(array.shape)}, expected [height, width, 3]")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InvalidArgument(f"{name}: has NaN or infinite values")
        array = np.rint(array.clip(0, 1) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InvalidArgument(f"{name}: numbers of type {array.dtype}, expected uint8, or floats from 0 to 1")
    return np.ascontiguousarray(array)


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of 8-bit RGB [height, width, 3]."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def grid(pictures: Any, columns: int = 8, gap: int = 4) -> np.ndarray:
    """Pictures of one size on one white sheet [height, width, 3], row by row."""
    tiles = [pixels(one) for one in pictures]
    if not tiles or any(tile.shape != tiles[0].shape for tile in tiles):
        raise InvalidArgument("pictures: expected some, all of one size")
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        y, x = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = tile
    return sheet


def save(path: Union[str, "os.PathLike[str]"], pictures: Any, columns: int = 8) -> None:
    """Writes a picture, or several on one sheet, as a PNG file."""
    single = not isinstance(pictures, (list, tuple))
    with open(path, "wb") as file:
        file.write(png(pixels(pictures) if single else grid(pictures, columns)))


def data_url(value: Union[np.ndarray, bytes]) -> str:
    """A picture, or the bytes of a PNG file, as an address that HTML may show."""
    data = value if isinstance(value, bytes) else png(value)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _opened(path: Any) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise InvalidArgument(f"{path}: reading picture files takes Pillow; give an array") from None
    return Image.open(path)
