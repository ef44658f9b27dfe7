"""Tokenizers, textual inversions and weighted prompts, with what transformers and diffusers make of them.

For the embedded model: tokenizer folders of several versions of transformers with ids.json, textual inversions in each
format, and context.safetensors with the text encoder's output. Emphasis follows the web interface AUTOMATIC1111
(modules/prompt_parser.py and modules/sd_hijack_clip.py: parse_prompt_attention, tokenize_line, the emphasis "Original"), written
down here anew with transformers' tokenizer and text encoder.
"""

import contextlib
import json
import re
import shutil
from pathlib import Path

import torch
from diffusers.loaders.textual_inversion import TextualInversionLoaderMixin
from safetensors.torch import save_file
from transformers import AddedToken, CLIPTextModel, CLIPTokenizer

from shared import MODELS, ROOT

TARGET = f"{MODELS}/people"
TOLERANCE = 1e-5
MODEL = str(ROOT / "Sources/Experiments/Resources/shapes")
TEXTS = [
    "a <cat-toy> in red", "a <CAT-TOY>x", "two words", "Two Words a", "x<Spec>y", "x<spec>y", "a<cat-toy>b", "single",
    "a single word", "singles", "unsingle", "<|startoftext|>a<|endoftext|>", "<cat-toy> <cat-toy><cat-toy>",
    "<cat-toy>s", "plain red star", "Two  Words", "<cat-toys>",
]


def write_json(value, path):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def tokenizers():
    ids = {}
    tokenizer = CLIPTokenizer.from_pretrained(MODEL + "/tokenizer")
    tokenizer.add_tokens(["<cat-toy>", "Two Words", AddedToken("single", single_word=True), "<cat-toys>"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<Spec>"]})
    tokenizer.save_pretrained("tokenizer-json")
    assert not Path("tokenizer-json/vocab.json").exists()
    reread = CLIPTokenizer.from_pretrained("tokenizer-json")
    ids["tokenizer-json"] = {text: reread(text).input_ids for text in TEXTS}

    # Merges as older versions of the library wrote them, "left right".
    with open("tokenizer-json/tokenizer.json") as file:
        contents = json.load(file)
    contents["model"]["merges"] = [" ".join(pair) for pair in contents["model"]["merges"]]
    Path("tokenizer-old-merges").mkdir()
    write_json(contents, "tokenizer-old-merges/tokenizer.json")
    reread = CLIPTokenizer.from_pretrained("tokenizer-old-merges")
    ids["tokenizer-old-merges"] = {text: reread(text).input_ids for text in TEXTS}

    # transformers 4: vocabulary and merges, with the added tokens in one of two files.
    for name in ["tokenizer-added", "tokenizer-decoder"]:
        folder = name
        shutil.copytree(MODEL + "/tokenizer", folder)
        if name == "tokenizer-added":
            write_json({"<cat-toy>": 675, "Two Words": 676}, folder + "/added_tokens.json")
        else:
            with open(folder + "/tokenizer_config.json") as file:
                config = json.load(file)
            plain = {"lstrip": False, "rstrip": False, "single_word": False, "special": False}
            config["added_tokens_decoder"] = {
                "675": plain | {"content": "<cat-toy>", "normalized": True},
                "676": plain | {"content": "Two Words", "normalized": False},
                "677": plain | {"content": "single", "normalized": True, "single_word": True},
            }
            write_json(config, folder + "/tokenizer_config.json")
        reread = CLIPTokenizer.from_pretrained(folder)
        ids[name] = {text: reread(text).input_ids for text in TEXTS}
    write_json(ids, "ids.json")


class Pipeline(TextualInversionLoaderMixin):
    """As much of a pipeline as diffusers' loader needs."""

    def __init__(self):
        self.tokenizer = CLIPTokenizer.from_pretrained(MODEL + "/tokenizer")
        self.text_encoder = CLIPTextModel.from_pretrained(MODEL + "/text_encoder").eval()
        self.components, self.hf_device_map = {}, None

    def context(self, prompt):
        prompt = self.maybe_convert_prompt(prompt, self.tokenizer)
        inputs = self.tokenizer(prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        with torch.no_grad():
            return self.text_encoder(inputs.input_ids).last_hidden_state


def inversions(contexts):
    generator = torch.Generator().manual_seed(5)
    three, one = torch.randn(3, 64, generator=generator), torch.randn(64, generator=generator)
    web = {
        "string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(three)}, "name": "shiny", "step": 500,
        "sd_checkpoint": "abc", "sd_checkpoint_name": "shapes",
    }
    torch.save(web, "web.pt")
    save_file({"emb_params": three}, "shiny.safetensors")
    save_file({"<cat-toy>": one}, "learned_embeds.safetensors")
    torch.save({"<cat-toy>": one}, "learned_embeds.bin")
    pipeline = Pipeline()
    pipeline.load_textual_inversion("web.pt")
    pipeline.load_textual_inversion("learned_embeds.bin")
    contexts["shiny"] = pipeline.context("a shiny red star, shiny")
    contexts["cat-toy"] = pipeline.context("a large <cat-toy> at the left")
    return pipeline


# ---------------------------------------------------------------- emphasis, as the web interface does it

ATTENTION = re.compile(
    r"\\\(|\\\)|\\\[|\\]|\\\\|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|]|[^\\()\[\]:]+|:")


def parsed(text):
    result, rounds, squares = [], [], []

    def multiply(start, factor):
        for i in range(start, len(result)):
            result[i][1] *= factor

    for match in ATTENTION.finditer(text):
        part, weight = match.group(0), match.group(1)
        if part.startswith("\\"):
            result.append([part[1:], 1.0])
        elif part == "(":
            rounds.append(len(result))
        elif part == "[":
            squares.append(len(result))
        elif weight is not None and rounds:
            multiply(rounds.pop(), float(weight))
        elif part == ")" and rounds:
            multiply(rounds.pop(), 1.1)
        elif part == "]" and squares:
            multiply(squares.pop(), 1 / 1.1)
        else:
            for i, piece in enumerate(re.split(r"\s*\bBREAK\b\s*", part)):
                if i > 0:
                    result.append(["BREAK", -1])
                result.append([piece, 1.0])
    for start in rounds:
        multiply(start, 1.1)
    for start in squares:
        multiply(start, 1 / 1.1)
    merged = []
    for piece in result or [["", 1.0]]:
        if merged and merged[-1][1] == piece[1]:
            merged[-1][0] += piece[0]
        else:
            merged.append(piece)
    return merged


def chunks(pipeline, text):
    """Lists of (ids, weights) of 75 tokens, start and end aside."""
    tokenizer = pipeline.tokenizer
    comma, end = tokenizer.get_vocab()[",</w>"], tokenizer.eos_token_id
    done, ids, weights, last_comma = [], [], [], -1

    def finish():
        nonlocal ids, weights, last_comma
        padding = 75 - len(ids)
        done.append((ids + [end] * padding, weights + [1.0] * padding))
        ids, weights, last_comma = [], [], -1

    for piece, weight in parsed(text):
        if piece == "BREAK" and weight == -1:
            finish()
            continue
        for token in tokenizer(piece, add_special_tokens=False).input_ids:
            if token == comma:
                last_comma = len(ids)
            elif len(ids) == 75 and last_comma != -1 and len(ids) - last_comma <= 20:
                cut = last_comma + 1
                rest, rest_weights = ids[cut:], weights[cut:]
                ids, weights = ids[:cut], weights[:cut]
                finish()
                ids, weights = rest, rest_weights
            if len(ids) == 75:
                finish()
            ids.append(token)
            weights.append(weight)
    if ids or not done:
        finish()
    return done


def emphasized(pipeline, text):
    parts = []
    for ids, weights in chunks(pipeline, text):
        tokens = torch.tensor([[pipeline.tokenizer.bos_token_id] + ids + [pipeline.tokenizer.eos_token_id]])
        with torch.no_grad():
            hidden = pipeline.text_encoder(tokens).last_hidden_state
        mean = hidden.mean()
        hidden = hidden * torch.tensor([1.0] + weights + [1.0])[None, :, None]
        parts.append(hidden * (mean / hidden.mean()))
    return torch.cat(parts, 1)


PROMPTS = [
    "a (red:1.5) star", "a (red) [star], ((large)) ring", "a red star", "red BREAK blue (star:0.7)", r"a \(red\) star",
    "(a [red: star", "a red) star: (blue :1.2) :3)", "", ", ".join(["a large red star"] * 30), "word " * 160,
    "(a (red:1.3) star:0.5) and [[blue]]", "REDBREAK BREAK", "a (red:.5) (star:+2.) (ring:-1)", "(red:1.1\n)",
]


def make(folder: Path):
    torch.set_num_threads(1)
    with contextlib.chdir(folder):
        tokenizers()
        contexts = {}
        inversions(contexts)
        pipeline = Pipeline()
        for i, prompt in enumerate(PROMPTS):
            contexts[f"emphasis.{i}"] = emphasized(pipeline, prompt)
        save_file({key: value.contiguous() for key, value in contexts.items()}, "context.safetensors")
        write_json([{"prompt": prompt, "pieces": parsed(prompt)} for prompt in PROMPTS], "prompts.json")
