"""Compares what two programs wrote: pixels of pictures, bytes of tensors, numbers and texts of records.

    python3 tools/lib/compare_folders.py OLD NEW

Prints a line for every file that differs or that only one has, and ends with 1 if a result differs. Times, versions, paths,
identities of models and the commands that repeat a result are no results.
"""
import csv
import json
import pathlib
import re
import struct
import sys
import zlib

NO_RESULT = {"version", "software", "command", "again", "repeat", "seconds", "seconds_per_step", "tokens_per_second", "model",
             "sae", "runtime", "origin", "key", "files", "checksum", "identity", "fingerprint", "started", "finished", "host"}
# Names that members of records had before, so that their values are compared all the same: (file, old name, new name).
RENAMED = [
    (r"course\.json", r"^/activations/(\d+)/", r"/results/\1/history/activation/"),
    (r"metrics\.(csv|ndjson)", r"^(/?\d+)/l0$", r"\1/positives"),
    (r"metrics\.(csv|ndjson)", r"^(/?\d+)/active$", r"\1/l0"),
]
# `lvo dream` measures as a study does, over noise of its own, and its history holds float32 numbers: (file, member).
MEASURED_ANEW = (r"dream-[^/]*/[^/]*\.json", r"^/(start_activation|final_activation|history/batch_activation/\d+)$")
# Claims, logs and checksums tell of the run, not of what came out; the gallery is text about the rest.
SKIPPED = {"claims", "log", "report"}


def pixels(path):
    """The picture's header and its rows as the file filters them; text and other chunks are left out."""
    data, at, header, rows = path.read_bytes(), 8, b"", b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            header = body
        if kind in (b"IDAT", b"fdAT"):
            rows += body[4:] if kind == b"fdAT" else body
        at += 12 + length
    if b"acTL" in data:
        return {"frames": rows}
    return {"header": header, "pixels": zlib.decompress(rows)}


def tensors(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    return {name: (entry["dtype"], entry["shape"], data[8 + length:][slice(*entry["data_offsets"])])
            for name, entry in header.items() if name != "__metadata__"}


def number(value):
    """A number as float32 holds it: records print as many digits as a float32 takes, or as a double does."""
    return struct.unpack("<f", struct.pack("<f", value))[0] if type(value) is float and abs(value) < 1e38 else value


def leaves(value, path=""):
    """Path → value of everything in a JSON text that is a result."""
    if isinstance(value, dict):
        pairs = [(key, member) for key, member in value.items() if key not in NO_RESULT]
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return {path: number(value)}
    return {name: leaf for key, member in pairs for name, leaf in leaves(member, f"{path}/{key}").items()}


def table(path):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return {f"{number}/{name}": value for number, row in enumerate(rows) for name, value in row.items()
            if name not in NO_RESULT}


def lines(path):
    return leaves([json.loads(line) for line in path.read_text().splitlines()])


READERS = {
    ".png": pixels, ".safetensors": tensors, ".json": lambda path: leaves(json.loads(path.read_text())), ".ndjson": lines,
    ".csv": table,
}


def files(folder):
    found = {path.relative_to(folder) for path in folder.glob("**/*") if path.suffix in READERS}
    return {path for path in found if not SKIPPED & set(path.parts) and not path.name.startswith(".")}


def as_named_now(path, values):
    """An older record's values under the names of today, for what has another name now."""
    def renamed(name):
        for file, before, now in RENAMED:
            if re.search(file, str(path)) and re.search(before, str(name)):
                return re.sub(before, now, name)
        return name
    return {renamed(name): value for name, value in values.items()}


def compare(old, new):
    """What differs between two files, what was measured anew, and what only one has."""
    a, b = READERS[old.suffix](old), READERS[new.suffix](new)
    if not a.keys() >= b.keys():
        a = as_named_now(old, a)
    differing = sorted(name for name in a.keys() & b.keys() if a[name] != b[name])
    anew = [name for name in differing
            if re.search(MEASURED_ANEW[0], str(new)) and re.search(MEASURED_ANEW[1], str(name))]
    return [name for name in differing if name not in anew], anew, sorted(a.keys() - b.keys()), sorted(b.keys() - a.keys())


def short(names):
    return ", ".join(map(str, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def main(old, new):
    mine, theirs = files(old), files(new)
    for name, paths in (("old", mine - theirs), ("new", theirs - mine)):
        for path in sorted(paths):
            print(f"only {name}: {path}")
    same, different = 0, 0
    for path in sorted(mine & theirs):
        differing, anew, gone, added = compare(old / path, new / path)
        same, different = same + (not differing), different + bool(differing)
        notes = [f"{what} {short(names)}" for what, names in
                 (("DIFFERS in", differing), ("measured anew", anew), ("without", gone), ("also with", added)) if names]
        if notes:
            print(f"{path}: {'; '.join(notes)}")
    print(f"{same} files have the same results, {different} differ")
    return 1 if different or not same else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
