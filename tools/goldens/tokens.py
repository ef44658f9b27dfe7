"""CLIP's token ids of the strings in tokenizer.json, by transformers."""

from pathlib import Path

from transformers import CLIPTokenizer

from shared import MODELS, ROOT, committed_json, write_json

TARGET = MODELS
TOLERANCE = 0.0


def make(folder: Path):
    tokenizer = CLIPTokenizer.from_pretrained(ROOT / MODELS / "tokenizer")
    cases = []
    for case in committed_json(f"{MODELS}/tokenizer.json"):
        padded = tokenizer(case["text"], padding="max_length", max_length=77, truncation=True)
        whole = tokenizer(case["text"])
        cases.append({"text": case["text"], "ids": padded.input_ids, "full_length": len(whole.input_ids)})
    write_json(cases, folder / "tokenizer.json", indent=0)
