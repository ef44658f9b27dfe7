#!/usr/bin/env python3
"""What the features of the embedded model's sparse autoencoder can be called: for each feature the values of the known
factors (shape, colour, ground, pattern, size, place) that its strongest pictures share, at one time step. Strongest by the
mean over positions (grounds and patterns) or by the strongest position (objects), whichever have more in common.

  tools/name_features.py --output DIR [--sae DIR]      # DIR/names.json; counts by factor on standard output
  tools/name_features.py --output DIR --sheet FILE --features 12 34 --dreams DREAMS

The second form puts each feature's six strongest pictures beside what `lvo dream --output DREAMS` found for it, a row a
feature. Needs numpy; sheets need Pillow. An SAE folder is one of folders named by layer.
"""
import argparse, glob, json, os
from collections import Counter

from dataset import HERE, SAES, feature_activations, prompts

STRONGEST, AGREEING = 12, 10


def names(pooled, factors):
    """Per feature: its strongest pictures, and what at least 10 of 12 of them share, with how many do."""
    result = []
    for feature in range(pooled["mean"].shape[1]):
        candidates = []
        for pool, values in pooled.items():
            order = values[:, feature].argsort(kind="stable")[::-1][:STRONGEST]
            shared = {}
            for factor in factors[0]:
                value, count = Counter(factors[i][factor] for i in order).most_common(1)[0]
                if count >= AGREEING and values[order[-1], feature] > 0:
                    shared[factor] = [value, count]
            # Half of all pictures are large: agreement about size says little.
            weight = max([count for factor, (_, count) in shared.items() if factor != "size"], default=0)
            candidates.append((weight, {"feature": feature, "by": pool, "largest": float(values[order[0], feature]),
                                        "strongest": [int(i) for i in order], "shared": shared}))
        result.append(max(candidates, key=lambda c: c[0])[1])
    return result


def sheet(path, rows, size=96):
    from PIL import Image

    width = max(len(row) for row in rows)
    image = Image.new("RGB", (width * (size + 4) + 12, len(rows) * (size + 4)), "white")
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            picture = Image.open(name).convert("RGB").resize((size, size), Image.LANCZOS)
            image.paste(picture, (x * (size + 4) + (12 if x >= 6 else 0), y * (size + 4)))
    image.quantize(128).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=os.path.join(HERE, "..", ".build", "release", "lvo"))
    parser.add_argument("--sae", default=SAES)
    parser.add_argument("--output", required=True)
    parser.add_argument("--timestep", type=int, default=301)
    parser.add_argument("--sheet")
    parser.add_argument("--features", type=int, nargs="+", default=[])
    parser.add_argument("--dreams")
    options = parser.parse_args()
    if options.sheet:
        found = json.load(open(os.path.join(options.output, "names.json")))
        pictures = [os.path.join(options.output, f"picture-{i:03}.png") for i in range(len(prompts()))]
        dreams = lambda f: sorted(glob.glob(os.path.join(options.dreams, f"*feature-{f}[-_.]*.png"))) if options.dreams else []
        return sheet(options.sheet, [[pictures[i] for i in found[f]["strongest"][:6]] + dreams(f) for f in options.features])
    mean, largest = feature_activations(options.lvo, options.output, options.timestep, options.sae)
    found = names({"mean": mean, "strongest position": largest}, [p["factors"] for p in prompts()])
    json.dump(found, open(os.path.join(options.output, "names.json"), "w"))
    named = [f for f in found if set(f["shared"]) - {"size"}]
    counts = Counter(factor for f in named for factor in f["shared"] if factor != "size")
    print(f"{len(named)} of {len(found)} features share a value in {AGREEING} of their {STRONGEST} strongest pictures:",
          ", ".join(f"{n} {factor}" for factor, n in counts.most_common()))


main()
