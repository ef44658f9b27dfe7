"""Tensors of every kind that weights files hold, and what may stand beside them, with their values as float32."""

import collections
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

TARGET = "Tests/CheckpointsTests/Fixtures/kinds"
TOLERANCE = 0.0

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
LATE_INTEGERS = [torch.uint16, torch.uint32, torch.uint64]
EIGHT_BITS = [torch.float8_e4m3fn, torch.float8_e5m2]
QUANTIZED = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


class Stranger:
    """An object of a class that no reader of weights knows."""

    def __init__(self):
        self.score = 0.5


def name(dtype):
    return str(dtype).removeprefix("torch.")


def every_dtype():
    numbers = torch.tensor([[0.0, 1.0, -2.0], [3.5, 100.0, -0.25]])
    tensors = {name(d): numbers.to(d) for d in FLOATS}
    tensors |= {name(d): numbers.abs().to(torch.int64).to(d) for d in INTEGERS + LATE_INTEGERS}
    tensors["bool"] = numbers > 0
    for dtype in EIGHT_BITS:
        tensors[name(dtype)] = torch.arange(256, dtype=torch.uint8).view(dtype)
    return tensors


def extras():
    """What `torch.load(weights_only=True)` reads beside tensors, and then some."""
    return {
        "epoch": 3, "a set": {1, 2}, "frozen": frozenset([3]), "size": torch.Size([1, 2]), "dtype": torch.complex64,
        "device": torch.device("cpu"), "counter": collections.Counter("abca"), "float": 0.5, "bytes": b"\x00\x01",
        "bytearray": bytearray(b"\x02"), "default": collections.defaultdict(dict, {"a": {}}), "long": 1 << 90,
        "complex number": 1 + 2j, "complex": torch.ones(2, dtype=torch.complex64), "slice": slice(1, 2),
        "numpy": np.float64(0.5), "array": np.arange(3.0), "layout": torch.strided, "stranger": Stranger(),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "sparse": torch.eye(2).to_sparse(),
    }


def views():
    """Tensors by other calls than the usual one."""
    base = torch.arange(12.0).reshape(3, 4)
    parameter = torch.nn.Parameter(torch.arange(4.0), requires_grad=False)
    marked = torch.nn.Parameter(torch.arange(3.0))
    marked.note = "kept beside"
    tagged = torch.arange(5.0)
    tagged.note = "kept beside"
    return {"transposed": base.T, "row": base[1], "parameter": parameter, "marked": marked, "tagged": tagged}


def torch_files(folder):
    tensors = every_dtype() | views()
    nested = {"state_dict": collections.OrderedDict(tensors | extras())} | extras()
    torch.save(nested, folder / "zip.ckpt")
    torch.save(tensors | extras(), folder / "protocol4.ckpt", pickle_protocol=4)
    old = {k: v for k, v in tensors.items() if name(v.dtype) not in map(name, LATE_INTEGERS + EIGHT_BITS)}
    # Tensors in a member of another name, and in two.
    few = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}
    torch.save({"epoch": 3, "params_ema": few}, folder / "one-member.pt")
    torch.save({"model": few, "ema": few}, folder / "two-members.pt")
    torch.save({"b": few["b"]}, folder / "part.bin")
    torch.save(old | extras(), folder / "old.ckpt", _use_new_zipfile_serialization=False)
    return {k: v.detach().to(torch.float32).contiguous().clone() for k, v in tensors.items()}


def ggml(folder):
    """A GGUF file with every kind that is read, one that is not, and a convolution that ComfyUI-GGUF reshaped."""
    generator = torch.Generator().manual_seed(11)
    rows = torch.randn([6, 64], generator=generator).numpy()
    kernel = torch.randn([8, 4, 3, 4], generator=generator).numpy()
    writer = gguf.GGUFWriter(folder / "blocks.gguf", "sd1")
    writer.add_array("test.array", ["a", "b"])
    writer.add_float32("test.number", 0.5)
    expected = {}
    for kind in QUANTIZED + ["BF16"]:
        dtype = gguf.GGMLQuantizationType[kind]
        packed = gguf.quants.quantize(rows, dtype)
        writer.add_tensor(kind, packed, raw_dtype=dtype)
        expected["gguf/" + kind] = torch.from_numpy(gguf.quants.dequantize(packed, dtype).astype(np.float32))
    for kind, values in (("F16", rows.astype(np.float16)), ("F32", rows)):
        writer.add_tensor(kind, values)
        expected["gguf/" + kind] = torch.from_numpy(values.astype(np.float32))
    packed = gguf.quants.quantize(kernel.reshape(-1, 128), gguf.GGMLQuantizationType.Q8_0)
    writer.add_array("comfy.gguf.orig_shape.kernel", list(kernel.shape))
    writer.add_tensor("kernel", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    values = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q8_0).reshape(kernel.shape)
    expected["gguf/kernel"] = torch.from_numpy(values.astype(np.float32))
    writer.add_tensor("unread", np.zeros([1, 144], np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def make(folder: Path):
    expected = torch_files(folder)
    save_file({k: v for k, v in every_dtype().items()}, folder / "kinds.safetensors")
    save_file(expected | ggml(folder), folder / "expected.safetensors")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 4265146304\n" % ("6c" * 32)
    (folder / "pointer.safetensors").write_text(pointer)
    header = b'{"__metadata__":null,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "null-metadata.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\x80\x3f")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F4","shape":[2],"data_offsets":[4,5]}}'
    body = b"\0\0\x80\x3f\x12"
    (folder / "unread-kind.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + body)
