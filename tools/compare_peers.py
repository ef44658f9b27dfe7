#!/usr/bin/env python3
"""Times lvo beside PyTorch and OpenVINO on the same weights and inputs, in turn (A B A B ...), and checks agreement.

    tools/compare_peers.py --model DIR [--work unet step vae generate] [--peers eager checkpoint compile openvino]
                           [--rounds 3] [--latent 64] [--steps 20] [--lvo .build/release/lvo] [--json FILE]

DIR is a folder in diffusers layout, e.g. from `lvo synthesize --dtype f16 --output DIR`. Half
precision weights are widened to float32 in the peers. Every measurement is a process of its own: it loads, runs once to
warm up, then `--repeats` times; its median and its peak resident memory are what is compared, as ratios pair by pair.
`generate` is a whole picture (text encoder, `--steps` steps with guidance, VAE), made once and without warming up.
Needs torch, diffusers, safetensors, numpy; openvino for that peer.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import peer_generation

HOOK = "up_blocks.1.attentions.1"
TIMESTEP = 501


def load_unet(model):
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32).eval()


def inputs(path):
    from safetensors.torch import load_file

    tensors = load_file(path)
    return tensors["latent"], tensors["context"]


def run_to_hook(unet, latent, context):
    """The activation [B, N, D] at the hook; nothing after it runs."""
    caught = {}

    class Reached(Exception):
        pass

    def stop(module, args, output):
        caught["value"] = output[0] if isinstance(output, tuple) else output.sample if hasattr(output, "sample") else output
        raise Reached

    handle = dict(unet.named_modules())[HOOK].register_forward_hook(stop)
    try:
        unet(latent, TIMESTEP, encoder_hidden_states=context)
    except Reached:
        pass
    finally:
        handle.remove()
    return caught["value"].flatten(2).transpose(1, 2)


def worker_function(args):
    """What one call of the peer does, as a function without arguments returning a numpy array."""
    import torch

    if args.work == "generate":
        return peer_generation.peer_function(args)
    torch.set_num_threads(args.threads)
    latent, context = inputs(args.inputs)
    if args.work == "vae":
        from diffusers import AutoencoderKL

        vae = AutoencoderKL.from_pretrained(args.model, subfolder="vae", torch_dtype=torch.float32).eval()
        if args.worker == "openvino":
            return openvino_function(vae.decoder, (vae.post_quant_conv(latent),), [latent.shape])
        decode = torch.compile(vae.decode) if args.worker == "compile" else vae.decode
        return lambda: no_grad(lambda: decode(latent).sample)
    unet = load_unet(args.model)
    if args.work == "unet":
        if args.worker == "openvino":

            class Wrapper(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.unet = unet

                def forward(self, x, c):
                    return self.unet(x, TIMESTEP, encoder_hidden_states=c).sample

            return openvino_function(Wrapper(), (latent, context), [latent.shape, context.shape])
        call = torch.compile(unet) if args.worker == "compile" else unet
        return lambda: no_grad(lambda: call(latent, TIMESTEP, encoder_hidden_states=context).sample)
    if args.worker in ("openvino", "compile"):
        raise SystemExit(f"{args.worker} cannot run the step: no gradient through a hook")
    unet.requires_grad_(False)
    if args.worker == "checkpoint":
        unet.train()
        unet.enable_gradient_checkpointing()

    def step():
        z = latent.clone().requires_grad_(True)
        (-run_to_hook(unet, z, context)[..., 7].mean()).backward()
        return z.grad.numpy()

    return step


def no_grad(call):
    import torch

    with torch.no_grad():
        return call().numpy()


def openvino_function(module, example, shapes):
    import openvino
    import torch

    with torch.no_grad():
        converted = openvino.convert_model(module, example_input=example, input=[tuple(s) for s in shapes])
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    arrays = [t.detach().numpy() for t in example]
    return lambda: compiled(arrays)[0]


def worker(args):
    import numpy

    call = worker_function(args)
    is_picture = args.work == "generate"
    output = None if is_picture else call()
    times = []
    for _ in range(1 if is_picture else args.repeats):
        start = time.perf_counter()
        output = call()
        times.append(time.perf_counter() - start)
    numpy.save(args.output, output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds_median": statistics.median(times), "peak_rss_bytes": peak}))


def measure_lvo(args, work, folder):
    if work == "generate":
        return peer_generation.measure_lvo(args, folder)
    report = os.path.join(folder, "lvo.json")
    command = [args.lvo, "bench", work, "--model", args.model, "--repeats", str(args.repeats), "--json", report,
               "--latent", str(args.latent), "--threads", str(args.threads)]
    if work == "step":
        command += ["--layer", HOOK]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(report) as file:
        return json.load(file)


def lvo_output(args, work, folder):
    """lvo's result for the same inputs, as a numpy array; None for pictures, which lvo writes as 8 bits (the tests compare
    its decoder with diffusers in floating point)."""
    if work == "vae":
        return None
    if work == "generate":
        return peer_generation.lvo_latent(folder)
    from safetensors.numpy import load_file, save_file

    source, target = os.path.join(folder, "inputs.safetensors"), os.path.join(folder, "lvo.safetensors")
    command = [args.lvo, "probe", "--model", args.model, "--layer", HOOK, "--timestep", str(TIMESTEP), "--channel", "7",
               "--latent", source, "--context", source, "--output", target]
    command += ["--eps"] if work == "unet" else ["--gradient"]
    subprocess.run(command + ["--overwrite"], check=True, stdout=subprocess.DEVNULL)
    return load_file(target)[{"unet": "eps", "step": "gradient"}[work]]


def measure_peer(args, work, peer, folder):
    output = os.path.join(folder, f"{peer}.npy")
    command = [sys.executable, __file__, "--worker", peer, "--work", work, "--model", args.model, "--inputs",
               os.path.join(folder, "inputs.safetensors"), "--output", output, "--repeats", str(args.repeats),
               "--threads", str(args.threads), "--latent", str(args.latent), "--steps", str(args.steps), "--lvo",
               os.path.abspath(args.lvo)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout.strip().splitlines()[-1])


def compare(args, work, folder):
    import numpy

    peers = [p for p in args.peers if not (work == "step" and p in ("openvino", "compile"))
             and not (work != "step" and p == "checkpoint")]
    samples = {"lvo": []} | {p: [] for p in peers}
    for _ in range(args.rounds):
        for program in samples:
            sample = measure_lvo(args, work, folder) if program == "lvo" else measure_peer(args, work, program, folder)
            samples[program].append(sample)
            print(f"{work} {program}: {sample['seconds_median']:.3f} s, {sample['peak_rss_bytes'] / 1e9:.2f} GB",
                  file=sys.stderr)
    ours = lvo_output(args, work, folder)
    rows = []
    for peer in peers:
        theirs = numpy.load(os.path.join(folder, f"{peer}.npy"))
        error, psnr = None, None
        if ours is not None:
            difference = ours - theirs.reshape(ours.shape)
            error = float(numpy.linalg.norm(difference) / numpy.linalg.norm(theirs))
            psnr = float(20 * numpy.log10(numpy.ptp(theirs) / numpy.sqrt(numpy.mean(difference**2))))
        rows.append({
            "work": work,
            "peer": peer,
            "lvo_seconds": statistics.median(s["seconds_median"] for s in samples["lvo"]),
            "peer_seconds": statistics.median(s["seconds_median"] for s in samples[peer]),
            "ratio": statistics.median(
                b["seconds_median"] / a["seconds_median"] for a, b in zip(samples["lvo"], samples[peer])),
            "lvo_peak_gb": max(s["peak_rss_bytes"] for s in samples["lvo"]) / 1e9,
            "peer_peak_gb": max(s["peak_rss_bytes"] for s in samples[peer]) / 1e9,
            "relative_error": error,
            "psnr_db": psnr,
        })
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", nargs="+", default=["unet", "step", "vae"], choices=["unet", "step", "vae", "generate"])
    parser.add_argument("--peers", nargs="+", default=["eager", "checkpoint", "openvino"],
                        choices=["eager", "checkpoint", "compile", "openvino"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="of a whole picture")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--lvo", default=".build/release/lvo")
    parser.add_argument("--json")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--inputs", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        args.work = args.work[0]
        return worker(args)

    import torch
    from safetensors.torch import save_file

    with open(os.path.join(args.model, "unet", "config.json")) as file:
        width = json.load(file)["cross_attention_dim"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        generator = torch.Generator().manual_seed(1)
        save_file({"latent": torch.randn(1, 4, args.latent, args.latent, generator=generator),
                   "context": torch.randn(1, 77, width, generator=generator)},
                  os.path.join(folder, "inputs.safetensors"))
        for work in args.work:
            rows += compare(args, work, folder)
    print(f"{'work':8} {'peer':11} {'lvo s':>8} {'peer s':>8} {'ratio':>6} {'lvo GB':>7} {'peer GB':>8} {'error':>9} "
          f"{'dB':>4}")
    for r in rows:
        print(f"{r['work']:8} {r['peer']:11} {r['lvo_seconds']:8.3f} {r['peer_seconds']:8.3f} {r['ratio']:6.2f} "
              f"{r['lvo_peak_gb']:7.2f} {r['peer_peak_gb']:8.2f} "
              + ("        –    –" if r["relative_error"] is None else f"{r['relative_error']:9.1e} {r['psnr_db']:4.0f}"))
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
