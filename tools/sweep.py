#!/usr/bin/env python3
"""Which settings of the optimization reach farthest on the embedded model: the measures of docs/measures.md over many live
features and channels chosen at random, half of them to choose settings by, half held out (docs/sweep.md).

    tools/sweep.py --output DIR [--lvo PROGRAM] [--only NAME ...] [--minutes N] [--table FILE]

Every setting is a study of its own over the same captured pictures. Run again, it does what is missing; --minutes stops it
early. The tables go to standard output when nothing is missing.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import time

import numpy as np

LAYER = "up_blocks.2.attentions.1"
CAPTURE = ["capture.images_per_prompt=1", "capture.steps=20", "capture.sampler=ddim", "capture.guidance_scale=4",
           "analysis.peaks=1", "prior.steps=20", "prior.sampler=ddim", "prior.strength_features=50",
           "prior.strength_channels=5", "dream.animation=false",
           "dream.snapshot_every=1000"]
# Name: preset, then what differs from it. The middle of the sweep is written out, whatever `tuned` has become since.
PAPER = "paper start=noise"
MIDDLE = "tuned start=noise steps=100 learning_rate=0.05 rectifier=leaky coupling=independent moment=0.05 range=0.5 " \
    "jitter=0 rotate=0 scale=1 "
SETTINGS = {
    "paper": "paper",
    "paper, from noise": PAPER,
    "paper, leaky, independent": PAPER + " rectifier=leaky coupling=independent",
    "tuned": "tuned",
    "middle": MIDDLE,
    "middle, from priors": MIDDLE + "start=prior",
    "middle, relu": MIDDLE + "rectifier=relu",
    "middle, no rectifier": MIDDLE + "rectifier=none",
    "middle, 200 steps": MIDDLE + "steps=200",
    "middle, 4 draws a step": MIDDLE + "noise_draws=4",
    "middle, no noise": MIDDLE + "schedule_noise=false",
    "middle, learning rate 0.1": MIDDLE + "learning_rate=0.1",
    "middle, robustness 1": MIDDLE + "jitter=1 rotate=5 scale=1.1",
    "middle, jitter 1": MIDDLE + "jitter=1",
    "middle, no spectral filter": MIDDLE + "spectral_filter=false",
    "middle, moment 0.5": MIDDLE + "moment=0.5",
    "middle, moment 0.2": MIDDLE + "moment=0.2",
    "middle, range 0.05": MIDDLE + "range=0.05",
}
# Those that channels are tried with; their objective has no rectifier.
FOR_CHANNELS = ["paper", "paper, from noise", "tuned", "middle", "middle, 200 steps", "middle, robustness 1",
                "middle, moment 0.5", "middle, range 0.05"]


def read_tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    kinds = {"F32": np.float32, "I64": np.int64}
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


class Sweep:
    def __init__(self, options):
        self.options, self.root = options, pathlib.Path(options.output)
        self.deadline = time.time() + 60 * options.minutes if options.minutes else None

    def lvo(self, *arguments):
        process = subprocess.Popen([self.options.lvo, "study", *map(str, arguments)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        try:
            errors = process.communicate(timeout=self.deadline and max(1, self.deadline - time.time()))[1]
        except subprocess.TimeoutExpired:
            process.terminate()
            errors = process.communicate()[1]
        if process.returncode == 75:
            sys.exit("stopped; run again to continue")
        if process.returncode:
            sys.exit(f"lvo study {arguments}: {errors}")

    def begin(self, folder, settings):
        seeds = [f"{stage}.seeds={self.options.seeds}" for stage in ("prior", "dream")]
        arguments = [part for setting in CAPTURE + seeds + settings for part in ("--set", setting)]
        self.lvo("init", folder, "--overwrite", *arguments)

    def capture(self):
        base = self.root / "base"
        base.mkdir(parents=True, exist_ok=True)
        self.begin(base, [f"prompt_limit={self.options.prompts}"])
        self.lvo("capture", base)
        self.lvo("analyze", base)
        return base

    def choose(self, base):
        """Random live features and channels: active at some time step, by the analysis."""
        chosen = {}
        for space, count in (("features", self.options.features), ("channels", self.options.channels)):
            counts = read_tensors(base / f"analysis/{LAYER}/{space}/analysis.safetensors")["count"]
            live = [int(i) for i in np.flatnonzero(counts.sum(1) > 0)]
            shuffled = random.Random(1).sample(live, len(live))
            chosen[space] = {"live": len(live), "all": len(counts), "tuning": sorted(shuffled[:count // 2]),
                             "held out": sorted(shuffled[count // 2:count])}
        return chosen

    def run(self, name, base, chosen):
        preset, *changes = SETTINGS[name].split()
        is_final = name in self.options.final
        settings = [f"prompt_limit={self.options.prompts}", f"dream.preset={preset}",
                    f"dream.timesteps=[{'301, ' if is_final else ''}peaks]"]
        for space, part in chosen.items():
            own = part["tuning"] + part["held out"] if is_final else part["tuning"]
            own = own if space == "features" or name in FOR_CHANNELS else ["none"]
            settings.append(f"choose.{space}={','.join(map(str, own))}")
            # The last of equal keys counts.
            settings += [f"dream_{space}.{key}={value}" for key, value in dict(c.split("=") for c in changes).items()]
        folder = self.root / "".join(c if c.isalnum() else "-" for c in name)
        self.begin(folder, settings)
        for stage in ("capture", "analysis"):
            if not (folder / stage).exists():
                subprocess.run(["cp", "-al", base / stage, folder / stage], check=True)
        if dict(c.split("=") for c in changes).get("start", "prior" if preset == "paper" else "noise") == "prior":
            self.lvo("prior", folder)
        for stage in ("dream", "measure"):
            self.lvo(stage, folder)
        return folder

    def measures(self, folder, space, indices, where):
        """Per feature its measures at t = 301 or at its highest peak."""
        peaks = json.loads((self.root / f"base/analysis/{LAYER}/{space}/peaks.json").read_text())
        found = []
        for index in indices:
            timestep = 301 if where == "at t = 301" else (peaks[index] + [-1])[0]
            path = folder / f"measure/{LAYER}/{space}/{index:05}/t{timestep:04}/measures.json"
            if path.exists():
                found.append(json.loads(path.read_text()) | {"index": index, "timestep": timestep})
        return found


def summary(rows):
    """Share with reach ≥ 1, median reach and quartiles, medians of the others."""
    reach = [row["reach"] for row in rows if row["reach"] is not None]
    if not reach:
        return ["–"] * 7
    lower, middle, upper = np.quantile(reach, [0.25, 0.5, 0.75])
    cells = [f"{sum(r >= 1 for r in reach) / len(reach):.0%}", f"{middle:.2f} ({lower:.2f} … {upper:.2f})"]
    for name in ("z_score", "rank", "agreement", "stability", "dream_purity"):
        values = [row[name] for row in rows if row.get(name) is not None]
        cells.append(f"{statistics.median(values):.2f}" if values else "–")
    return cells


def table(sweep, folders, chosen, part, names, places):
    lines = []
    for space in chosen:
        for where in places:
            rows = {name: sweep.measures(folders[name], space, chosen[space][part], where) for name in names}
            count = max(map(len, rows.values()))
            lines += [f"{space}, {where}, {part} ({count}):", "",
                      "| setting | reach ≥ 1 | median reach (quartiles) | z-score | rank | agreement | stability | dream purity |",
                      "| --- " * 8 + "|"]
            lines += [f"| {name} | " + " | ".join(summary(rows[name])) + " |" for name in names if rows[name]] + [""]
    return lines


def by_timestep(sweep, folders, chosen, names):
    """Where the peak lies decides how far a dream can get: noise is a growing share of what the layer sees."""
    bands = [(0, 250), (250, 500), (500, 750), (750, 1000)]
    lines = ["features at the peak, all chosen, by the peak's time step: share with reach ≥ 1, median (number):", "",
             "| setting | " + " | ".join(f"{low} … {high - 1}" for low, high in bands) + " |", "| --- " * 5 + "|"]
    indices = chosen["features"]["tuning"] + chosen["features"]["held out"]
    for name in names:
        rows = [row for row in sweep.measures(folders[name], "features", indices, "at the peak") if row["reach"] is not None]
        cells = []
        for low, high in bands:
            reach = [row["reach"] for row in rows if low <= row["timestep"] < high]
            cells.append(f"{sum(r >= 1 for r in reach) / len(reach):.0%}, {statistics.median(reach):.2f} ({len(reach)})"
                         if reach else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=".build/release/lvo")
    parser.add_argument("--output", required=True)
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1024])
    parser.add_argument("--features", type=int, default=40)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--only", nargs="+", default=list(SETTINGS), help="names of settings")
    parser.add_argument("--final", nargs="+", default=["paper", "tuned"], help="settings run on the held-out half too")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--table", help="also write the tables there")
    options = parser.parse_args()
    options.lvo = os.path.realpath(options.lvo)
    sweep = Sweep(options)
    base = sweep.capture()
    chosen = sweep.choose(base)
    folders = {name: sweep.run(name, base, chosen) for name in options.only}
    lines = [f"{space}: {part['live']} of {part['all']} are live" for space, part in chosen.items()] + [""]
    lines += table(sweep, folders, chosen, "tuning", options.only, ["at the peak"])
    finals = [name for name in options.only if name in options.final]
    if finals:
        lines += table(sweep, folders, chosen, "held out", finals, ["at the peak", "at t = 301"])
        lines += by_timestep(sweep, folders, chosen, finals)
    print("\n".join(lines))
    if options.table:
        pathlib.Path(options.table).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
