#!/usr/bin/env python3
"""Times SAE training steps of PyTorch and of `lvo bench sae` in turn (A B A B), on the same sizes and threads.

The PyTorch side is the published trainer's model (EleutherAI's sparsify, SAeUron): dense encoder, top-k, dense decode of
the selected activations, AuxK over dead features, FVU, gradient clipping, removal of the gradient along the decoder rows,
Adam, decoder normalisation. `--check FOLDER` compares it with reference runs (sae.safetensors, sae.json) first.

    python3 tools/compare_sae.py --lvo .build/release/lvo --rounds 2
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time

import torch


class Trainer:
    def __init__(self, width, latents, k, kind="batch_topk", lr=4e-4, auxk_alpha=1 / 32, unit_norm=False,
                 multi=False, loss_scale=1.0, weights=None):
        if weights is None:
            generator = torch.Generator().manual_seed(0)
            encoder = (torch.rand(latents, width, generator=generator) * 2 - 1) / width**0.5
            weights = [encoder, torch.zeros(latents), encoder.clone(), torch.zeros(width)]
        self.encoder, self.bias, self.decoder, self.center = (w.clone().requires_grad_() for w in weights)
        self.k, self.kind, self.auxk_alpha, self.unit_norm, self.multi = k, kind, auxk_alpha, unit_norm, multi
        self.loss_scale = loss_scale
        self.optimizer = torch.optim.Adam(self.parameters(), lr=lr, eps=6.25e-10)

    def parameters(self):
        return [self.encoder, self.bias, self.decoder, self.center]

    def select(self, pre, k):
        """Dense activations with everything but the selected ones at 0, and the selected features."""
        latents = pre.shape[-1]
        if self.kind == "batch_topk":
            flat = pre.flatten()
            values, places = flat.topk(k * pre.shape[0] * pre.shape[1], sorted=False)
        elif self.kind == "sample_topk":
            flat = pre.reshape(pre.shape[0], -1)
            values, places = flat.topk(k, dim=-1, sorted=False)
        else:
            flat = pre
            values, places = pre.topk(k, dim=-1, sorted=False)
        values = torch.where(torch.isinf(values), torch.zeros(()), values)
        return torch.zeros_like(flat).scatter(-1, places, values).reshape(pre.shape), places.flatten() % latents

    def step(self, x, dead=None):
        """x [samples, positions, width]; returns the losses and the selected features."""
        with torch.no_grad():
            self.decoder /= self.decoder.norm(dim=1, keepdim=True) + torch.finfo(torch.float32).eps
        if self.unit_norm:
            x = x - x.mean(-1, keepdim=True)
            x = x / (x.std(-1, keepdim=True) + 1e-5)
        pre = torch.relu((x - self.center) @ self.encoder.T + self.bias)
        acts, features = self.select(pre, self.k)
        error = acts @ self.decoder + self.center - x
        variance = (x - x.mean((0, 1))).pow(2).sum()
        fvu = error.pow(2).sum() / variance
        auxk = multi = torch.zeros(())
        count = 0 if dead is None else int(dead.sum())
        if count:
            half = x.shape[-1] // 2
            aux, _ = self.select(torch.where(dead, pre, torch.tensor(-torch.inf)), min(half, count))
            auxk = min(count / half, 1.0) * (aux @ self.decoder + self.center - error).pow(2).sum() / variance
        if self.multi:
            acts, features = self.select(pre, 4 * self.k)
            multi = (acts @ self.decoder + self.center - x).pow(2).sum() / variance
        loss = self.loss_scale * (fvu + self.auxk_alpha * auxk + multi / 8)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        with torch.no_grad():
            self.decoder.grad -= (self.decoder.grad * self.decoder).sum(1, keepdim=True) * self.decoder
        self.optimizer.step()
        return dict(fvu=fvu.item(), auxk=auxk.item(), multi=multi.item()), features


def check(folder):
    from safetensors.torch import load_file
    tensors = load_file(f"{folder}/sae.safetensors")
    worst = 0.0
    for tag, run in json.load(open(f"{folder}/sae.json")).items():
        config = run["config"]
        kind = "batch_topk" if config["batch_topk"] else "sample_topk" if config["sample_topk"] else "topk"
        names = ["encoder.weight", "encoder.bias", "W_dec", "b_dec"]
        trainer = Trainer(run["d_in"], None, run["k"], kind, run["lr"], run["auxk_alpha"], config["input_unit_norm"],
                          config["multi_topk"], run["loss_scale"], [tensors[f"{tag}/init/{n}"] for n in names])
        since = torch.zeros(len(trainer.bias))
        for step, expected in enumerate(run["log"]):
            x = tensors[f"{tag}/batch/{step}"]
            dead = tensors[f"{tag}/dead/{step}"].bool() if run["dead_given"] else since > run["dead_threshold_tokens"]
            losses, features = trainer.step(x, dead)
            since += x.shape[0] * x.shape[1]
            since[features.unique()] = 0
            worst = max([worst] + [abs(losses[n] - expected[n]) / max(abs(expected[n]), 1e-6) for n in losses])
    print(f"PyTorch side against the reference runs: largest relative difference of a loss {worst:.1e}")
    if not worst < 1e-4:
        sys.exit("the PyTorch side is not the published trainer")


def time_torch(options):
    """Runs in a process of its own, so that its peak memory is its own."""
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(options.batch // 256, 256, options.d_in, generator=generator)
    dead = torch.arange(options.latents) % max(1, options.latents // max(options.dead, 1)) == 0
    trainer = Trainer(options.d_in, options.latents, options.k, options.kind)
    seconds = []
    for _ in range(options.steps + 1):
        start = time.perf_counter()
        trainer.step(x, dead if options.dead else None)
        seconds.append(time.perf_counter() - start)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    median = statistics.median(seconds[1:])
    print(json.dumps(dict(seconds_median=median, tokens_per_second=options.batch / median,
                          peak_rss_bytes=usage.ru_maxrss * 1024,
                          cpu_seconds=(usage.ru_utime + usage.ru_stime) / len(seconds))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=".build/release/lvo")
    parser.add_argument("--check", metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="timed steps of a PyTorch round, after one warm-up")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--d-in", type=int, default=1280)
    parser.add_argument("--latents", type=int, default=20480)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4096, help="a multiple of 256")
    parser.add_argument("--kind", default="batch_topk", choices=["topk", "batch_topk", "sample_topk"])
    parser.add_argument("--dead", type=int, default=1024, help="features that AuxK revives; 0 turns it off")
    parser.add_argument("--torch-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_only:
        return time_torch(options)
    if options.check:
        check(options.check)
    sizes = ["--d-in", options.d_in, "--latents", options.latents, "--k", options.k, "--batch", options.batch,
             "--kind", options.kind, "--dead", options.dead, "--threads", options.threads]
    sizes = [str(s) for s in sizes]
    results = {"torch": [], "lvo": []}
    for _ in range(options.rounds):
        run = subprocess.run([sys.executable, __file__, "--torch-only", "--steps", str(options.steps)] + sizes,
                             check=True, capture_output=True, text=True)
        results["torch"].append(json.loads(run.stdout))
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/sae.json"
            subprocess.run([options.lvo, "bench", "sae", "--json", path] + sizes, check=True, stdout=subprocess.DEVNULL)
            results["lvo"].append(json.load(open(path)))
        for name in results:
            last = results[name][-1]
            print(f"{name:6} {last['seconds_median']:8.3f} s a step  {last['tokens_per_second']:8.0f} tokens/s  "
                  f"{last['peak_rss_bytes'] / 1e9:5.2f} GB")
    speed = {n: statistics.median(r["tokens_per_second"] for r in results[n]) for n in results}
    memory = {n: max(r["peak_rss_bytes"] for r in results[n]) for n in results}
    print(f"tokens/s ratio {speed['lvo'] / speed['torch']:.2f}, memory ratio {memory['lvo'] / memory['torch']:.2f}")


if __name__ == "__main__":
    main()
