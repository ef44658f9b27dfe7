"""One whole picture by lvo, by PyTorch (diffusers' networks and scheduler) and by OpenVINO: part of compare-peers.

All get the same prompt, seed, sampler (the model's own), steps and guidance, and loaded models. A picture is timed from its
prompt's tokens to its pixels; it is the first of its process for everyone, so warming up counts.
"""
import json
import os
import re
import subprocess

PROMPT = "a large red circle at the left on a blue background with diagonal stripes"
SEED = 1
GUIDANCE = 7.5


def model_type(worker):
    """The type of a peer's weights and inputs."""
    import torch

    return torch.bfloat16 if worker == "eager-bf16" else torch.float32


def autocast(worker):
    """What a peer computes under."""
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=worker == "autocast")


def openvino_settings(worker):
    """None for what a user gets without asking."""
    hints = {"openvino": "f32", "openvino-bf16": "bf16"}
    return {"INFERENCE_PRECISION_HINT": hints[worker]} if worker in hints else {}


def pixels(args):
    with open(os.path.join(args.model, "vae", "config.json")) as file:
        return args.latent * 2 ** (len(json.load(file)["block_out_channels"]) - 1)


def measure_lvo(args, precision, folder):
    """Seconds of the picture as lvo tells them, and the peak memory of its process (never less than this process has, which
    forks it); leaves the latent in `folder`."""
    side = str(pixels(args))
    command = [args.lvo, "generate", "--model", args.model, "--prompt", PROMPT, "--seed", str(SEED), "--steps",
               str(args.steps), "--cfg-scale", str(GUIDANCE), "-W", side, "-H", side, "--save-latent", "--overwrite",
               "--threads", str(args.threads), "--precision", precision, "--output", os.path.join(folder, precision)]
    with open(os.path.join(folder, "errors.txt"), "w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        errors.seek(0)
        text = errors.read()
    seconds = re.search(r"steps: ([0-9.]+) s", text)
    if status != 0 or not seconds:
        raise SystemExit(f"{' '.join(command)}: {text}")
    return {"seconds_median": float(seconds[1]), "peak_rss_bytes": usage.ru_maxrss * 1024}


def lvo_latent(folder, precision):
    from safetensors.numpy import load_file

    return load_file(os.path.join(folder, precision, f"00000-{SEED}.safetensors"))["latent"]


def token_ids(args):
    """The prompt's and the empty prompt's, from lvo: a synthetic model has no tokenizer that transformers could load."""
    def ids(prompt):
        command = [args.lvo, "tokenize", "--json", "--model", args.model, prompt]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["ids"]

    return [ids(""), ids(PROMPT)]


def networks(args):
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    def load(kind, part):
        return kind.from_pretrained(args.model, subfolder=part, torch_dtype=model_type(args.worker)).eval()

    text, unet, vae = load(CLIPTextModel, "text_encoder"), load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae")
    return text, unet, vae, vae.config.scaling_factor


def eager_calls(args):
    """Functions of torch tensors: ids → context, (sample, time step, context) → ε, latent → pixels."""
    import torch

    text, unet, vae, scale = networks(args)
    if args.worker == "compile":
        unet, vae.decode = torch.compile(unet), torch.compile(vae.decode)
    return (lambda ids: text(ids).last_hidden_state,
            lambda x, t, c: unet(x.to(unet.dtype), t, encoder_hidden_states=c).sample.float(),
            lambda z: vae.decode(z.to(vae.dtype) / scale).sample.float())


def openvino_calls(args):
    import openvino
    import torch

    text, unet, vae, scale = networks(args)

    def compiled(module, *example):
        with torch.no_grad():
            model = openvino.convert_model(
                module, example_input=example, input=[(list(e.shape), e.numpy().dtype.type) for e in example])
        call = openvino.compile_model(model, "CPU", openvino_settings(args.worker))
        return lambda *inputs: torch.from_numpy(call([i.numpy() for i in inputs])[0].copy())

    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.text = text

        def forward(self, ids):
            return self.text(ids).last_hidden_state

    class UNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = unet

        def forward(self, x, t, c):
            return self.unet(x, t, encoder_hidden_states=c).sample

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder, self.convolution = vae.decoder, vae.post_quant_conv

        def forward(self, z):
            return self.decoder(self.convolution(z / scale))

    ids = torch.tensor(token_ids(args))
    latent = torch.zeros(1, 4, args.latent, args.latent)
    context = torch.zeros(2, ids.shape[1], unet.config.cross_attention_dim)
    encode, decode = compiled(Text(), ids), compiled(Decoder(), latent)
    predict = compiled(UNet(), latent.repeat(2, 1, 1, 1), torch.tensor(1.0), context)
    return encode, lambda x, t, c: predict(x, t.float(), c), decode


def peer_function(args):
    """Makes the picture and returns its latent as a numpy array."""
    import diffusers
    import torch

    torch.set_num_threads(args.threads)
    with open(os.path.join(args.model, "scheduler", "scheduler_config.json")) as file:
        configuration = json.load(file)
    scheduler = getattr(diffusers, configuration["_class_name"]).from_config(configuration)
    ids = torch.tensor(token_ids(args))
    with torch.no_grad():
        encode, predict, decode = openvino_calls(args) if args.worker.startswith("openvino") else eager_calls(args)

    def generate():
        with torch.no_grad(), autocast(args.worker):
            context = encode(ids)
            scheduler.set_timesteps(args.steps)
            generator = torch.Generator().manual_seed(SEED)
            x = torch.randn(1, 4, args.latent, args.latent, generator=generator) * scheduler.init_noise_sigma
            for t in scheduler.timesteps:
                both = predict(scheduler.scale_model_input(torch.cat([x, x]), t), t, context)
                unconditional, conditional = both.chunk(2)
                epsilon = unconditional + GUIDANCE * (conditional - unconditional)
                x = scheduler.step(epsilon, t, x).prev_sample
            decode(x)
            return x.numpy()

    return generate
