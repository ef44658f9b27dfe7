"""Twelve training steps of SAeUron's autoencoder for each kind of selection, written anew from its formulas."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from shared import ROOT, committed, committed_json, write_json

TARGET = "Tests/SparseAutoencodersTests/Fixtures"
TOLERANCE = 1e-4
NAMES = ("W_dec", "b_dec", "encoder.bias", "encoder.weight")


def select(values, k, config, maps):
    """The k largest per token, of the batch (k · tokens), or of each of `maps` maps; dense, others 0."""
    tokens = values.shape[0]
    if config["batch_topk"]:
        groups, count = values.reshape(1, -1), k * tokens
    elif config["sample_topk"]:
        groups, count = values.reshape(maps, -1), k
    else:
        groups, count = values, k
    top = groups.topk(count, dim=-1, sorted=False)
    kept = torch.zeros_like(groups).scatter(-1, top.indices, top.values)
    chosen = torch.zeros_like(groups, dtype=torch.bool).scatter(-1, top.indices, True)
    return kept.reshape(values.shape), chosen.reshape(values.shape)


def unit(x):
    """Each token's mean taken away, then divided by its spread."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.std(-1, keepdim=True) + 1e-5)


class Step:
    """One forward pass: losses by name, what fired."""

    def __init__(self, p, batch, run, dead):
        config, maps, k = run["config"], batch.shape[0], run["k"]
        x = batch.flatten(0, 1)
        if config["input_unit_norm"]:
            mean, spread = x.mean(-1, keepdim=True), x.std(-1, keepdim=True) + 1e-5
            x = unit(x)
        pre = torch.relu((x - p["b_dec"]) @ p["encoder.weight"].T + p["encoder.bias"])
        total = (x - x.mean(0)).square().sum()
        acts, chosen = select(pre, k, config, maps)
        out = acts @ p["W_dec"] + p["b_dec"]
        error = out - x
        self.fvu = error.square().sum() / total
        self.auxk = self.auxiliary(p, pre, error, total, dead, config, maps)
        self.multi = torch.zeros(())
        if config["multi_topk"]:
            acts, chosen = select(pre, 4 * k, config, maps)
            more = acts @ p["W_dec"] + p["b_dec"]
            self.multi, out = (more - x).square().sum() / total, more
        self.loss = (self.fvu + run["auxk_alpha"] * self.auxk + self.multi / 8) * run["loss_scale"]
        self.fired = chosen.any(0)
        self.l0 = (pre > 0).float().sum(-1).mean()
        self.l2 = error.square().mean()
        spread_of = (x - x.mean(0)).square().sum(-1)
        self.explained = (1 - error.square().sum(-1) / spread_of).mean()
        self.acts, self.out = acts, out * spread + mean if config["input_unit_norm"] else out

    @staticmethod
    def auxiliary(p, pre, error, total, dead, config, maps):
        count = int(dead.sum())
        if count == 0:
            return torch.zeros(())
        most = error.shape[1] // 2
        scale, k = min(count / most, 1.0), min(most, count)
        values = torch.where(dead, pre, -torch.inf)
        acts, chosen = select(values, k, config, maps)
        acts = torch.where(chosen & torch.isfinite(values), pre, 0.0)
        guess = acts @ p["W_dec"] + p["b_dec"]
        return scale * (guess - error).square().sum() / total


def train(tag, run, recorded):
    p = {name: recorded[f"{tag}/init/{name}"].clone().requires_grad_() for name in NAMES}
    optimizer = torch.optim.Adam(p.values(), lr=run["lr"], eps=run["eps"])
    since = torch.zeros(p["W_dec"].shape[0])
    tensors = {f"{tag}/init/{name}": value.detach().clone() for name, value in p.items()}
    log = []
    for step in range(12):
        batch = recorded[f"{tag}/batch/{step}"]
        tensors[f"{tag}/batch/{step}"] = batch
        with torch.no_grad():
            p["W_dec"] /= p["W_dec"].norm(dim=1, keepdim=True) + torch.finfo(torch.float32).eps
        dead = since > run["dead_threshold_tokens"]
        if run["dead_given"]:
            tensors[f"{tag}/dead/{step}"] = recorded[f"{tag}/dead/{step}"]
            dead = recorded[f"{tag}/dead/{step}"] != 0
        result = Step(p, batch, run, dead)
        optimizer.zero_grad()
        result.loss.backward()
        if step in (0, 8):
            tensors |= {f"{tag}/grad{step}/{name}": value.grad.clone() for name, value in p.items()}
        if step == 0:
            tensors |= first_outputs(tag, result, recorded)
        norm = torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        with torch.no_grad():
            rows, grad = p["W_dec"], p["W_dec"].grad
            grad -= (grad * rows).sum(1, keepdim=True) * rows
        optimizer.step()
        since = torch.where(result.fired, 0, since + batch.shape[0] * batch.shape[1])
        log.append({key: float(getattr(result, key)) for key in ("fvu", "auxk", "multi", "l0", "l2", "explained")}
                   | {"grad_norm": float(norm), "dead": int(dead.sum())})
    tensors |= {f"{tag}/final/{name}": value.detach().clone() for name, value in p.items()}
    return tensors, run | {"log": log}


def first_outputs(tag, result, recorded):
    """Dense for selections over more than a token; else the values and indices, in the order that was recorded."""
    shape = recorded[f"{tag}/acts0"].shape
    indices = recorded.get(f"{tag}/idx0")
    acts = result.acts.detach()
    if acts.shape != shape:
        acts = acts.gather(1, indices)
    made = {f"{tag}/acts0": acts, f"{tag}/out0": result.out.detach()}
    return made if indices is None else made | {f"{tag}/idx0": indices}


def make(folder: Path):
    torch.set_num_threads(1)
    recorded = committed(f"{TARGET}/sae.safetensors")
    description = committed_json(f"{TARGET}/sae.json")
    tensors = {}
    for tag, run in description.items():
        made, description[tag] = train(tag, run, recorded)
        tensors |= made
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "sae.safetensors")
    write_json(description, folder / "sae.json")
