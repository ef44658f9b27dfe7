"""Builds the wheel (PEP 517) by the standard library: the package, liblvo.so and its resources.

`tools/python-wheel` builds the library first and then calls this; `pip install ./python` does once it is there.
"""

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Where tools/python-wheel leaves liblvo.so, what it is linked to, and the folders lvo_*.resources.
LIBRARY = Path(os.environ.get("LVO_LIBRARY_FOLDER", ROOT / ".build/python/library"))


def version():
    """The one that the program has."""
    text = (ROOT / "Sources/Experiments/Release.swift").read_text()
    return re.search(r'static let version = "(.*)"', text)[1]


def glibc():
    """The newest glibc that the libraries ask for, as (2, 34)."""
    libraries = sorted(LIBRARY.glob("*.so*"))
    symbols = subprocess.run(["objdump", "-T", *libraries], check=True, capture_output=True, text=True).stdout
    return max(tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols))


def metadata():
    fields = (HERE / "pyproject.toml").read_text()

    def quoted(key):
        return re.search(rf'^{key} = "(.*)"', fields, re.M)[1]

    lines = [
        "Metadata-Version: 2.1",
        "Name: lvo",
        f"Version: {version()}",
        f"Summary: {quoted('description')}",
        "License: Apache-2.0",
        f"Requires-Python: {quoted('requires-python')}",
    ]
    required = re.search(r'^dependencies = \["(.*)"\]', fields, re.M)[1]
    return (
        "\n".join(lines + [f"Requires-Dist: {required}", "Description-Content-Type: text/markdown", "", ""])
        + (ROOT / "docs/python.md").read_text()
    )


def files():
    """Names in the wheel, and where their contents are."""
    package = HERE / "src"
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix in (".py", ".typed"):
            yield str(path.relative_to(package)), path
    for path in sorted(LIBRARY.rglob("*")):
        if path.is_file() and path.suffix != ".h":
            yield f"lvo/native/{path.relative_to(LIBRARY)}", path


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    library = LIBRARY / "liblvo.so"
    if not library.is_file():
        raise SystemExit(f"{library} is missing: run tools/python-wheel, which builds it")
    tag = "py3-none-manylinux_{}_{}_{}".format(*glibc(), os.uname().machine)
    name, info = f"lvo-{version()}-{tag}.whl", f"lvo-{version()}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: lvo\nRoot-Is-Purelib: false\nTag: {tag}\n"
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:

        def add(member, data):
            # One date for all, so that the same contents have the same bytes.
            entry = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow([member, f"sha256={digest}", len(data)])

        for member, path in files():
            add(member, path.read_bytes())
        add(f"{info}/METADATA", metadata().encode())
        add(f"{info}/WHEEL", wheel.encode())
        add(f"{info}/LICENSE", (ROOT / "LICENSE").read_bytes())
        rows.writerow([f"{info}/RECORD", "", ""])
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD", (1980, 1, 1, 0, 0, 0)), record.getvalue())
    return name


def get_requires_for_build_wheel(config_settings=None):
    return []
