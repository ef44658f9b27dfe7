"""The pictures of the embedded model's prompts, as a layer and its sparse autoencoder see them (reach, name-features)."""
import json
import os
import struct
import subprocess
import zlib

import numpy as np

import shapes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, ".build", "release", "lvo")
RESOURCES = os.path.join(ROOT, "Sources", "Experiments", "Resources")
MODEL, SAES = os.path.join(RESOURCES, "shapes"), os.path.join(RESOURCES, "shapes-sae")
LAYER = "up_blocks.2.attentions.1"


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


def prompts():
    """Captions and factors, in the order of the pictures."""
    return [json.loads(line) for line in open(os.path.join(RESOURCES, "prompts.jsonl"))]


def feature_activations(lvo, folder, timestep, saes=SAES):
    """Draws the prompts' pictures into `folder`, encodes and noises them, and returns each one's mean and largest value
    over positions of every feature's rectified pre-activation, [pictures, features] each."""
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(0)
    pictures = []
    for index, prompt in enumerate(prompts()):
        pictures.append(os.path.join(folder, f"picture-{index:03}.png"))
        write_png(pictures[-1], np.clip(shapes.render(prompt["factors"], rng), 0, 1))
    latents = os.path.join(folder, "pictures.safetensors")
    subprocess.run([lvo, "encode", "--model", MODEL, "--overwrite", "--output", latents, *pictures], check=True,
                   stdout=subprocess.DEVNULL)
    z, share = read_tensors(latents)["latent"], noise_share(timestep)
    z = share**0.5 * z + (1 - share) ** 0.5 * rng.standard_normal(z.shape, np.float32)
    sae = read_tensors(os.path.join(saes, f"unet.{LAYER}", "sae.safetensors"))
    sae = {name: tensor.astype(np.float32) for name, tensor in sae.items()}
    means, largest = [], []
    for start in range(0, len(z), 50):
        noised, probed = os.path.join(folder, "noised.safetensors"), os.path.join(folder, "probed.safetensors")
        write_tensor(noised, "latent", z[start:start + 50])
        subprocess.run([lvo, "probe", "--model", MODEL, "--layer", LAYER, "--timestep", str(timestep), "--latent", noised,
                        "--overwrite", "--output", probed], check=True, stdout=subprocess.DEVNULL)
        x = read_tensors(probed)["activations"]
        pre = np.maximum((x - sae["b_dec"]) @ sae["encoder.weight"].T + sae["encoder.bias"], 0)
        means.append(pre.mean(1))
        largest.append(pre.max(1))
    return np.concatenate(means), np.concatenate(largest)
