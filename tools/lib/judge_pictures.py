"""Pictures to train and test the judge with: scenes of the embedded model's world, and what is none of it."""

import numpy as np
import shapes

NONE = "none"
# What is drawn for training, and how often.
KINDS = {"scene": 0.62, "half and half": 0.08, "between colours": 0.06, "tinted texture": 0.10, "texture": 0.08, "noise": 0.06}


def margins():
    """Half of each colour's distance to the nearest other."""
    distances = np.linalg.norm(shapes.COLOR_VALUES[:, None] - shapes.COLOR_VALUES[None], axis=-1)
    return (distances + 9 * np.eye(len(distances))).min(1) / 2


MARGINS = margins()


def near(color, rng):
    """A colour that is nearer to the named one than to any other."""
    index = shapes.COLOR_NAMES.index(color)
    offset = rng.normal(size=3)
    offset *= rng.uniform(0, 0.7) * MARGINS[index] / np.linalg.norm(offset)
    return np.clip(shapes.COLOR_VALUES[index] + offset, 0, 1).astype(np.float32)


def between(rng):
    """A colour that is no named one's: halfway between two, and far from all."""
    while True:
        a, b = rng.choice(len(shapes.COLOR_NAMES), 2, replace=False)
        color = (shapes.COLOR_VALUES[a] + shapes.COLOR_VALUES[b]) / 2
        distances = np.linalg.norm(shapes.COLOR_VALUES - color, axis=1)
        if (distances > 1.1 * MARGINS).all():
            return color


def cloud(rng):
    """Smooth random values in 0…1 of a random roughness, in places cut to two levels: [128, 128, 1]."""
    side = 2 * shapes.SIDE
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) + 1 / side
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) * frequency ** -rng.uniform(0.6, 2.2)
    x = np.fft.ifft2(spectrum).real
    x = (x - x.mean()) / x.std()
    x = (x > 0) if rng.random() < 0.4 else np.clip(0.5 + x / 4, 0, 1)
    return x.astype(np.float32)[..., None]


def objects(f, rng):
    """Covers and colours of none, one or several shapes, alike or not."""
    draw = rng.random()
    if draw < 0.15:
        return []
    if draw < 0.75:
        return [(shapes.shape_mask(f, rng), near(f["color"], rng))]
    found = []
    for place in rng.permutation(shapes.PLACES)[: rng.integers(2, 5)]:
        other = dict(f, place=str(place), size="small")
        if draw > 0.9:
            other["shape"], other["color"] = str(rng.choice(shapes.SHAPES)), str(rng.choice(shapes.COLOR_NAMES))
        found.append((shapes.shape_mask(other, rng), near(other["color"], rng)))
    return found


def picture(kind, rng):
    """A picture [64, 64, 3] in 0…1 of that kind, with the labels of its ground."""
    f, _ = shapes.sample(rng)
    labels = {"ground": f["ground"], "pattern": f["pattern"]}
    if kind in ("noise", "texture"):
        return (noise if kind == "noise" else texture)(rng), dict.fromkeys(labels, NONE)
    zoom = rng.uniform(0.7, 1.5) if rng.random() < 0.5 else 1.0
    c0, c1 = shapes.shades(near(f["ground"], rng))
    covers = objects(f, rng)
    t = shapes.pattern(f["pattern"], rng, zoom)
    if kind == "half and half":
        a, b = rng.choice(shapes.PATTERNS, 2, replace=False)
        t, labels["pattern"] = half_and_half(a, b, zoom, rng), NONE
    elif kind == "between colours":
        labels["ground"] = NONE
        c0, c1 = shapes.shades(between(rng))
    elif kind == "tinted texture":
        t, labels["pattern"] = cloud(rng), NONE
        covers = covers if rng.random() < 0.4 else []
    image = shapes.blend(c0, c1, t)
    for mask, color in covers:
        image = shapes.blend(image, color, mask)
    return shapes.downsample(image), labels


def half_and_half(a, b, zoom, rng):
    t, other = shapes.pattern(a, rng, zoom), shapes.pattern(b, rng, zoom)
    cut = shapes.GX if rng.random() < 0.5 else shapes.GY
    return np.where(cut[..., None] < rng.uniform(-0.25, 0.25), t, other)


def texture(rng):
    """Clouds of two or three unrelated colours."""
    colors = rng.random((3, 3)).astype(np.float32)
    image = shapes.blend(colors[0], colors[1], cloud(rng))
    return shapes.downsample(shapes.blend(image, colors[2], cloud(rng)) if rng.random() < 0.6 else image)


def noise(rng):
    image = rng.uniform(0.2, 0.8) + rng.uniform(0.05, 0.4) * rng.normal(size=(shapes.SIDE, shapes.SIDE, 3))
    return np.clip(image, 0, 1).astype(np.float32)


def sample(rng):
    """One for training."""
    return picture(str(rng.choice(list(KINDS), p=list(KINDS.values()))), rng)
