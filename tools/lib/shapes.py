"""The embedded model's world: captioned pictures of known shape, colour, ground colour, pattern, size and place."""

import numpy as np

COLORS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 220, 50),
    "green": (50, 160, 70),
    "cyan": (60, 200, 210),
    "blue": (45, 80, 210),
    "purple": (130, 60, 180),
    "pink": (245, 150, 190),
    "brown": (120, 75, 40),
    "white": (245, 245, 245),
    "gray": (130, 130, 130),
    "black": (25, 25, 25),
}
COLOR_NAMES = list(COLORS)
COLOR_VALUES = np.array([COLORS[c] for c in COLOR_NAMES], np.float32) / 255
SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond"]
PATTERNS = [
    "plain",
    "horizontal stripes",
    "vertical stripes",
    "diagonal stripes",
    "checkerboard",
    "dots",
    "waves",
    "gradient",
]
SIZES = ["small", "large"]
PLACES = ["center", "left", "right", "top", "bottom"]
PLACE_CENTERS = {"center": (0, 0), "left": (-0.45, 0), "right": (0.45, 0), "top": (0, -0.45), "bottom": (0, 0.45)}
SIDE = 64


def signed_distance(kind, x, y, r):
    """Distance of the points (x, y) to the outline of a shape of radius r at the origin; negative inside."""
    if kind == "circle":
        return np.hypot(x, y) - r
    if kind == "ring":
        return np.abs(np.hypot(x, y) - r * 0.8) - r * 0.24
    if kind == "square":
        return np.maximum(np.abs(x), np.abs(y)) - r * 0.86
    if kind == "diamond":
        return (np.abs(x) + np.abs(y)) * 0.75 - r * 0.8
    if kind == "cross":
        return np.minimum(
            np.maximum(np.abs(x) - r, np.abs(y) - r * 0.32), np.maximum(np.abs(y) - r, np.abs(x) - r * 0.32)
        )
    if kind == "triangle":
        return np.maximum(np.abs(x) * np.sqrt(3.0) / 2 - y * 0.5, y) - r * 0.55
    if kind == "star":
        a = np.arctan2(x, -y)
        n = 5
        b = 2 * np.pi / n
        a = np.abs((a + b / 2) % b - b / 2)
        rad = np.hypot(x, y)
        px, py = rad * np.sin(a), rad * np.cos(a)
        R, q = r * 1.05, r * 0.45
        ax, ay = 0.0, R
        bx, by = q * np.sin(b / 2), q * np.cos(b / 2)
        nx, ny = -(by - ay), (bx - ax)
        L = np.hypot(nx, ny)
        return ((px - ax) * nx + (py - ay) * ny) / L
    if kind == "heart":
        X = np.abs(x) / r * 1.0
        Y = -y / r + 0.25
        f = (X**2 + Y**2 - 0.85) ** 3 - X**2 * Y**3 * 1.3
        return np.sign(f) * np.minimum(np.abs(f), 1) ** (1 / 2.0) * 0.35 * r


# Two samples a pixel and axis, over −1…1.
g = (np.arange(SIDE * 2) + 0.5) / (SIDE * 2) * 2 - 1
GX, GY = np.meshgrid(g, g)


def shades(color):
    """The two colours of a patterned ground."""
    return color, color * 0.45 if color.mean() > 0.35 else color * 0.4 + 0.5


def pattern(p, rng, zoom=1.0):
    """The share of the second shade, [128, 128, 1] in 0…1; `zoom` above 1 makes the pattern finer."""
    x, y = GX, GY
    w = rng.uniform(5, 7) * np.pi / 2 * 1.2 * zoom
    ph = rng.uniform(0, 2 * np.pi)
    if p == "plain":
        t = np.zeros_like(x)
    elif p == "horizontal stripes":
        t = np.sin(w * y + ph) > 0
    elif p == "vertical stripes":
        t = np.sin(w * x + ph) > 0
    elif p == "diagonal stripes":
        t = np.sin(w * (x + y) * 0.7071 + ph) > 0
    elif p == "checkerboard":
        t = (np.sin(w * x + ph) * np.sin(w * y + ph)) > 0
    elif p == "dots":
        t = (np.sin(w * 1.2 * x + ph) * np.sin(w * 1.2 * y + ph)) > 0.55
    elif p == "waves":
        t = np.sin(w * y + ph + 1.6 * np.sin(3.2 * x + ph)) > 0
    elif p == "gradient":
        t = np.clip((y + 1) / 2, 0, 1)
    return np.asarray(t, np.float32)[..., None]


def shape_mask(f, rng):
    """How much of each point the shape covers, [128, 128, 1] in 0…1."""
    r = (0.28 if f["size"] == "small" else 0.5) * rng.uniform(0.92, 1.08)
    cx, cy = PLACE_CENTERS[f["place"]]
    cx += rng.uniform(-0.06, 0.06)
    cy += rng.uniform(-0.06, 0.06)
    k = 0.75 if f["size"] == "large" else 1.0
    a = rng.uniform(-0.15, 0.15)
    X = GX - cx * k
    Y = GY - cy * k
    X, Y = X * np.cos(a) + Y * np.sin(a), -X * np.sin(a) + Y * np.cos(a)
    d = signed_distance(f["shape"], X, Y, r)
    return np.clip(0.5 - d * SIDE / 1.2, 0, 1)[..., None]


def blend(a, b, t):
    return a * (1 - t) + b * t


def downsample(im):
    """Means over two points a pixel and axis."""
    return im.reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3)).astype(np.float32)


def render(f, rng):
    """The picture of the factors `f`, [64, 64, 3] in 0…1; `rng` draws what the caption leaves open."""
    c0, c1 = shades(COLOR_VALUES[COLOR_NAMES.index(f["ground"])])
    im = blend(c0, c1, pattern(f["pattern"], rng))
    return downsample(blend(im, COLOR_VALUES[COLOR_NAMES.index(f["color"])], shape_mask(f, rng)))


def caption(f):
    """What the model was trained to draw the factors `f` from."""
    s = f"a {f['size']} {f['color']} {f['shape']}"
    if f["place"] != "center":
        s += f" at the {f['place']}"
    s += f" on a {f['ground']} background"
    if f["pattern"] != "plain":
        s += f" with {f['pattern']}" if f["pattern"] != "checkerboard" else " with a checkerboard"
    return s


def sample(rng):
    """Random factors and their picture."""
    c = rng.integers(len(COLOR_NAMES))
    gnd = rng.integers(len(COLOR_NAMES) - 1)
    gnd += gnd >= c
    f = dict(
        shape=SHAPES[rng.integers(8)],
        color=COLOR_NAMES[c],
        ground=COLOR_NAMES[gnd],
        pattern=PATTERNS[rng.integers(8)],
        size=SIZES[rng.integers(2)],
        place=PLACES[rng.integers(5)],
    )
    return f, render(f, rng)
