#!/usr/bin/env python3
"""Reach of dreams on the embedded model: how active a dream makes a feature, divided by the most that any picture of the
prompt set does, both at the same time step with fresh noise (docs/dreams.md).

  tools/reach.py --lvo .build/release/lvo --output DIR [--settings NAME=OPTIONS ...]

Needs numpy. Dreams stay in DIR/NAME; the table goes to standard output.
"""
import argparse, glob, json, os, shlex, subprocess
import numpy as np

from dataset import HERE, LAYER, MODEL, SAES, feature_activations

FEATURES = [570, 144, 517, 320, 106]
SETTINGS = [
    "paper=--preset sae",
    "leaky-100=--preset sae --rectifier leaky --coupling independent --moment 0.1667 --range 0.1667",
    "leaky-200=--preset sae --rectifier leaky --coupling independent --moment 0.1667 --range 0.1667 --steps 200",
    "moment=--preset tuned --steps 200 --robustness 1",
    "tuned=--preset tuned",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=os.path.join(HERE, "..", ".build", "release", "lvo"))
    parser.add_argument("--output", required=True)
    parser.add_argument("--timestep", type=int, default=301)
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1024, 1111, 4359])
    parser.add_argument("--settings", nargs="+", default=SETTINGS, help="NAME=OPTIONS of lvo dream")
    options = parser.parse_args()
    maxima = feature_activations(options.lvo, os.path.join(options.output, "dataset"), options.timestep)[0].max(0)
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
