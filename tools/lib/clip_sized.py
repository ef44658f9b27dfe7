"""Gives a single-file model as many tokens as CLIP has, so that it is read with CLIP's own vocabulary.

    python3 tools/lib/clip_sized.py INPUT.safetensors OUTPUT.safetensors
"""
import json
import struct
import sys

TOKENS = 49408


def main(source, target):
    with open(source, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", None)
    tensors, end = {} if metadata is None else {"__metadata__": metadata}, 0
    parts = []
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        part = data[slice(*entry["data_offsets"])]
        if name.endswith("token_embedding.weight"):
            rows, width = entry["shape"]
            part = (part * (TOKENS // rows + 1))[:TOKENS * len(part) // rows]
            entry["shape"] = [TOKENS, width]
        entry["data_offsets"] = [end, end + len(part)]
        end += len(part)
        tensors[name] = entry
        parts.append(part)
    text = json.dumps(tensors).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


if __name__ == "__main__":
    main(*sys.argv[1:])
