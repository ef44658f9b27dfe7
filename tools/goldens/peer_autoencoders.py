"""Small autoencoders of dictionary_learning and SAELens, with what those programs' formulas give for a few tokens.

dictionary_learning's classes are imported; SAELens 6's forward passes are written out below, each from the method it is named
after, because importing the package takes a language model's.
"""
import contextlib
import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

TARGET = "Tests/SparseAutoencodersTests/Fixtures/peers"
TOLERANCE = 1e-5
D, L, K, TOKENS = 6, 20, 4, 9


def dictionary_module(name):
    """A module of dictionary_learning without the package's __init__, which imports language models."""
    if "dictionary_learning" not in sys.modules:
        parent = importlib.util.find_spec("dictionary_learning").submodule_search_locations[0]
        for package in ("dictionary_learning", "dictionary_learning.trainers"):
            stub = types.ModuleType(package)
            stub.__path__ = [str(Path(parent, *package.split(".")[1:]))]
            sys.modules[package] = stub
        # Only what the classes need of it.
        config = types.ModuleType("dictionary_learning.config")
        config.DEBUG = False
        sys.modules["dictionary_learning.config"] = config
    return importlib.import_module(f"dictionary_learning.{name}")


def randomize(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)
        for name, value in model.named_parameters():
            if name == "threshold":
                value.copy_(torch.rand(value.shape) * 0.5)


def finish(folder, x, features, reconstruction):
    save_file({"x": x, "features": features.contiguous(), "reconstruction": reconstruction.contiguous()},
              str(folder / "expected.safetensors"))


def dictionary(name, model, trainer, threshold=None):
    randomize(model)
    if threshold is not None:
        model.threshold.fill_(threshold)
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "ae.pt")
    config = {"trainer": {"dict_class": type(model).__name__, "activation_dim": D, "dict_size": L, "lr": 1e-3,
                          "steps": 100, "seed": 0, "device": "cpu", "layer": 3, "lm_name": "unet", "wandb_name": "x",
                          "submodule_name": None, **trainer},
              "buffer": {"d_submodule": D, "io": "out", "n_ctxs": 30, "ctx_len": 64, "device": "cpu"}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    if name == "dl_standard":
        model.normalize_decoder()  # as from_pretrained does
    x = torch.randn(TOKENS, D)
    with torch.no_grad():
        features = model.encode(x)
        finish(folder, x, features, model.decode(features))


def saelens(name, config, weights, encode, decode=None):
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in weights.items()}, str(folder / "sae_weights.safetensors"))
    (folder / "cfg.json").write_text(json.dumps({"d_in": D, "d_sae": L, "dtype": "float32", "device": "cpu", **config}))
    x = torch.randn(TOKENS, D)
    features = encode(x, weights)
    finish(folder, x, features, (decode or (lambda f, x, w: f @ w["W_dec"] + w["b_dec"]))(features, x, weights))


def topk(pre, k=K):
    values, indices = pre.topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(-1, indices, values.relu())


def autoencoders():
    torch.manual_seed(7)
    base = dictionary_module("dictionary")
    dictionary("dl_standard", base.AutoEncoder(D, L), {"trainer_class": "StandardTrainer", "l1_penalty": 0.1})
    dictionary("dl_new", base.AutoEncoderNew(D, L), {"trainer_class": "StandardTrainerNew", "l1_penalty": 0.1})
    dictionary("dl_gated", base.GatedAutoEncoder(D, L), {"trainer_class": "GatedSAETrainer", "l1_penalty": 0.1})
    dictionary("dl_jumprelu", base.JumpReluAutoEncoder(D, L),
               {"trainer_class": "JumpReluTrainer", "bandwidth": 0.001, "sparsity_penalty": 1, "target_l0": 20})
    dictionary("dl_topk", dictionary_module("trainers.top_k").AutoEncoderTopK(D, L, K), {"k": K}, threshold=0.3)
    dictionary("dl_batchtopk", dictionary_module("trainers.batch_top_k").BatchTopKSAE(D, L, K), {"k": K}, threshold=0.7)
    groups = [4, 6, 10]
    dictionary("dl_matryoshka",
               dictionary_module("trainers.matryoshka_batch_top_k").MatryoshkaBatchTopKSAE(D, L, K, groups),
               {"k": K, "group_fractions": [0.2, 0.3, 0.5], "group_sizes": groups, "group_weights": [1, 1, 1]},
               threshold=0.5)

    def weights(*more):
        result = {"W_enc": torch.randn(D, L) * 0.5, "W_dec": torch.randn(L, D) * 0.5, "b_dec": torch.randn(D) * 0.5}
        return result | {name: torch.randn(L) * 0.5 for name in more}

    # SAELens 2: the whole training configuration, "normalize_activations" a boolean.
    saelens("sl_v2", {"model_name": "gpt2", "hook_point": "blocks.3.hook_resid_pre", "hook_point_layer": 3,
                      "activation_fn": "relu", "normalize_activations": False, "apply_b_dec_to_input": True,
                      "l1_coefficient": 0.001, "noise_scale": 0.0, "lr": 0.0004, "sae_lens_version": "2.1.3"},
            weights("b_enc"), lambda x, w: ((x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu())
    saelens("sl_v3_topk", {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K},
                           "apply_b_dec_to_input": False, "finetuning_scaling_factor": False, "hook_name": "x",
                           "hook_layer": 3, "prepend_bos": True, "normalize_activations": "none",
                           "sae_lens_training_version": "3.22.0"},
            weights("b_enc"), lambda x, w: topk(x @ w["W_enc"] + w["b_enc"]))
    v6 = {"apply_b_dec_to_input": True, "normalize_activations": "none", "reshape_activations": "none",
          "metadata": {"sae_lens_version": "6.54.12", "hook_name": "x"}}
    saelens("sl_v6_topk_norm", v6 | {"architecture": "topk", "k": K, "rescale_acts_by_decoder_norm": True},
            weights("b_enc"),
            lambda x, w: topk(((x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]) * w["W_dec"].norm(dim=-1)),
            lambda f, x, w: (f / w["W_dec"].norm(dim=-1)) @ w["W_dec"] + w["b_dec"])
    jump = weights("b_enc") | {"threshold": torch.rand(L)}

    def jumprelu(x, w):
        pre = (x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]
        return pre.relu() * (pre > w["threshold"])
    saelens("sl_v6_jumprelu", v6 | {"architecture": "jumprelu"}, jump, jumprelu)

    def gated(x, w):
        inputs = x - w["b_dec"]
        return (inputs @ w["W_enc"] + w["b_gate"] > 0) * (inputs @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"]).relu()
    saelens("sl_v6_gated", v6 | {"architecture": "gated"}, weights("b_gate", "b_mag", "r_mag"), gated)

    def normal(x):
        centred = x - x.mean(dim=-1, keepdim=True)
        return centred / (centred.std(dim=-1, keepdim=True) + 1e-5)
    saelens("sl_v6_layer_norm", v6 | {"architecture": "standard", "normalize_activations": "layer_norm"},
            weights("b_enc"), lambda x, w: ((normal(x) - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu(),
            lambda f, x, w: (f @ w["W_dec"] + w["b_dec"]) * x.std(dim=-1, keepdim=True) + x.mean(dim=-1, keepdim=True))


def make(folder: Path):
    torch.set_num_threads(1)
    with contextlib.chdir(folder):
        autoencoders()
