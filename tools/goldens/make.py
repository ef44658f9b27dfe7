"""Makes each set in a scratch folder and compares it with what is committed; see `make`."""

import argparse
import importlib
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from shared import ROOT, file_error  # noqa: E402

HELPERS = ("make", "shared")
# Asked for by name alone: minutes, and gigabytes of memory.
LARGE = ("sd15",)


def judge(error, tolerance):
    if error == 0:
        return "reproduced exactly"
    return f"within tolerance ({error:.1e} of {tolerance:.0e})" if error <= tolerance else f"NOT REPRODUCED ({error:.1e})"


def run(name, replace):
    module = importlib.import_module(name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        module.make(folder)
        worst = 0.0
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            target = ROOT / module.TARGET / path.relative_to(folder)
            error = file_error(path, target) if target.exists() else float("inf")
            worst = max(worst, error)
            if error > module.TOLERANCE:
                print(f"  {path.relative_to(folder)}: {judge(error, module.TOLERANCE)}")
                if replace:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
    print(f"{name}: {judge(worst, module.TOLERANCE)}", flush=True)
    return worst <= module.TOLERANCE


def main():
    sets = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in HELPERS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit status 1 if a set is not reproduced")
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(sets))
    options = parser.parse_args()
    unknown = set(options.sets) - set(sets)
    if unknown:
        parser.error(f"no such set: {', '.join(sorted(unknown))}; known are {', '.join(sets)}")
    chosen = options.sets or [name for name in sets if name not in LARGE]
    good = [run(name, replace=not options.check) for name in chosen]
    sys.exit(0 if all(good) or not options.check else 1)


if __name__ == "__main__":
    main()
