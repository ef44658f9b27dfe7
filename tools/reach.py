#!/usr/bin/env python3
"""Reach of dreams on the embedded model: how active a dream makes a feature, divided by the most that any picture of the
prompt set does, both at the same time step with fresh noise (docs/dreams.md).

  tools/reach.py --lvo .build/release/lvo --output DIR [--settings NAME=OPTIONS ...]

Needs numpy. Dreams stay in DIR/NAME; the table goes to standard output.
"""
import argparse, glob, json, os, shlex, struct, subprocess, sys, zlib
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
RESOURCES = os.path.join(HERE, "..", "Sources", "Studies", "Resources")
MODEL, SAES = os.path.join(RESOURCES, "shapes"), os.path.join(RESOURCES, "shapes-sae")
LAYER = "up_blocks.2.attentions.1"
FEATURES = [742, 508, 439, 647, 718, 731]
SETTINGS = [
    "paper=--preset sae",
    "leaky-100=--preset sae --rectifier leaky --coupling independent --moment 0.1667 --range 0.1667",
    "leaky-200=--preset sae --rectifier leaky --coupling independent --moment 0.1667 --range 0.1667 --steps 200",
    "tuned=--preset tuned",
]


def write_png(path, image):
    """`image` [H,W,3] in 0…1."""
    rows = (image * 255 + 0.5).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def read_tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    kinds = {"F32": np.float32, "F16": np.float16}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items() if name != "__metadata__"
    }


def write_tensor(path, name, array):
    array = np.ascontiguousarray(array, np.float32)
    entry = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [0, array.nbytes]}
    header = json.dumps({name: entry}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + array.tobytes())


def noise_share(timestep):
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float32) ** 2
    return np.cumprod(1 - betas)[timestep]


def dataset_maxima(lvo, folder, timestep):
    """Per feature, the largest mean over positions among noised pictures of all prompts."""
    sys.path.insert(0, HERE)
    import shapes

    rng = np.random.default_rng(0)
    pictures = []
    for index, line in enumerate(open(os.path.join(RESOURCES, "prompts.jsonl"))):
        pictures.append(os.path.join(folder, f"picture-{index:03}.png"))
        write_png(pictures[-1], np.clip(shapes.render(json.loads(line)["factors"], rng), 0, 1))
    latents = os.path.join(folder, "pictures.safetensors")
    subprocess.run([lvo, "encode", "--model", MODEL, "--overwrite", "--output", latents, *pictures], check=True,
                   stdout=subprocess.DEVNULL)
    z, share = read_tensors(latents)["latent"], noise_share(timestep)
    z = share**0.5 * z + (1 - share) ** 0.5 * rng.standard_normal(z.shape, np.float32)
    sae = read_tensors(os.path.join(SAES, f"unet.{LAYER}", "sae.safetensors"))
    maxima = 0
    for start in range(0, len(z), 50):
        noised, probed = os.path.join(folder, "noised.safetensors"), os.path.join(folder, "probed.safetensors")
        write_tensor(noised, "latent", z[start:start + 50])
        subprocess.run([lvo, "probe", "--model", MODEL, "--layer", LAYER, "--timestep", str(timestep), "--latent", noised,
                        "--overwrite", "--output", probed], check=True, stdout=subprocess.DEVNULL)
        x = read_tensors(probed)["activations"]
        pre = np.maximum((x - sae["b_dec"]) @ sae["encoder.weight"].T.astype(np.float32) + sae["encoder.bias"], 0)
        maxima = np.maximum(maxima, pre.mean(1).max(0))
    return maxima


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=os.path.join(HERE, "..", ".build", "release", "lvo"))
    parser.add_argument("--output", required=True)
    parser.add_argument("--timestep", type=int, default=301)
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1024, 1111, 4359])
    parser.add_argument("--settings", nargs="+", default=SETTINGS, help="NAME=OPTIONS of lvo dream")
    options = parser.parse_args()
    os.makedirs(os.path.join(options.output, "dataset"), exist_ok=True)
    maxima = dataset_maxima(options.lvo, os.path.join(options.output, "dataset"), options.timestep)
    names, columns = [], []
    for setting in options.settings:
        name, arguments = setting.split("=", 1)
        names.append(name)
        folder = os.path.join(options.output, name)
        subprocess.run([options.lvo, "dream", "--model", MODEL, "--layer", LAYER, "--sae", SAES,
                        "--timestep", str(options.timestep), "--feature", *map(str, options.features),
                        "--seed", *map(str, options.seeds), *shlex.split(arguments), "--overwrite", "--output", folder],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = {feature: [] for feature in options.features}
        for path in glob.glob(os.path.join(folder, "*.json")):
            record = json.load(open(path))
            found[int(record["objective"].split()[1])].append(record["final_activation"])
        columns.append([np.mean(found[f]) / maxima[f] for f in options.features])
    print("| feature | dataset | " + " | ".join(names) + " |")
    print("| --- " * (len(names) + 2) + "|")
    for row, feature in enumerate(options.features):
        print(f"| {feature} | {maxima[feature]:.3f} | " + " | ".join(f"{c[row]:.2f}" for c in columns) + " |")


main()
