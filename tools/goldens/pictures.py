"""Small JPEG, WebP and PNG files of every kind that is read, with their pixels as Pillow sees them (upright, over white)."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

TARGET = "Tests/PicturesTests/Fixtures/formats"
TOLERANCE = 0.0
ORIENTATION = 0x0112


def drawing(width, height, channels=3):
    """Smooth colours with one hard edge."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = [x, y, (x + y > 1) * 0.8, 1 - x * y][:channels]
    return (np.stack(planes, -1) * 255).round().astype(np.uint8)


def exif(orientation):
    tags = Image.Exif()
    tags[0x010F] = "a camera"
    tags[ORIENTATION] = orientation
    return tags


def over_white(image):
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "P":
        image = image.convert("RGBA")
    if "A" not in image.getbands():
        return image.convert("RGB")
    pixels = np.asarray(image.convert("RGBA")).astype(int)
    alpha = pixels[..., 3:]
    return Image.fromarray(((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8))


def make(folder: Path):
    picture, small = Image.fromarray(drawing(37, 21)), Image.fromarray(drawing(11, 6))
    alpha = Image.fromarray(drawing(20, 13, 4))
    picture.save(folder / "halved.jpg", quality=90, subsampling="4:2:0")
    picture.save(folder / "progressive.jpg", quality=85, subsampling="4:4:4", progressive=True)
    picture.convert("L").save(folder / "grey.jpg", quality=90)
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    for orientation in range(1, 9):
        small.save(folder / f"turned{orientation}.jpg", quality=90, exif=exif(orientation))
    picture.save(folder / "lossy.webp", quality=80)
    picture.save(folder / "lossless.webp", lossless=True)
    alpha.save(folder / "alpha.webp", lossless=True, exact=True)
    alpha.save(folder / "lossy-alpha.webp", quality=80)
    small.save(folder / "turned.webp", lossless=True, exif=exif(6))
    alpha.save(folder / "alpha.png")
    small.save(folder / "turned.png", exif=exif(6))
    palette = small.quantize(8)
    palette.save(folder / "palette.png", transparency=bytes([0, 90, 255, 200, 255, 255, 30, 255]))
    Image.fromarray(drawing(11, 6, 1)[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.webp"), *folder.glob("*.png")]):
        with Image.open(path) as image:
            over_white(image).save(path.with_name(path.name + ".png"))
    small.save(folder / "animated.webp", save_all=True, append_images=[ImageOps.invert(small)], duration=100)
    small.save(folder / "small.gif")
