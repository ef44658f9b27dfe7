"""LoRA files of every method and convention, with the weights that other libraries merge from them.

NAME.safetensors (or NAME/adapter_model.safetensors) and NAME-merged.safetensors for the tiny model of the containers.
PEFT's own methods are merged by PEFT, LyCORIS's by the functions of lycoris-lora, both in double precision. The model that each file is
merged into and the scale 1 (0.5 for kohya's) are those of Tests/CheckpointsTests/PeopleLoRATests.swift.
"""

import contextlib
import json
from pathlib import Path

import lycoris.functional.loha as loha
import lycoris.functional.lokr as lokr
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from lycoris.functional.general import rebuild_tucker
from peft import IA3Config, LoHaConfig, LoKrConfig, LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from shared import ROOT, write_json

TARGET = "Tests/CheckpointsTests/Fixtures/people/lora"
TOLERANCE = 1e-5
MODEL = str(ROOT / "Tests/CheckpointsTests/Fixtures/containers/folder-fp32")
BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
QUERY, OUT, CONV = BLOCK + ".attn1.to_q", BLOCK + ".attn2.to_out.0", "down_blocks.0.resnets.0.conv1"
POINT = "mid_block.attentions.0.proj_in"
FEED = BLOCK + ".ff.net.2"
NORM = "down_blocks.0.resnets.0.norm1"
TEXT = "text_model.encoder.layers.1.self_attn.q_proj"


def unet():
    return UNet2DConditionModel.from_pretrained(MODEL + "/unet").double()


def save_merged(name, changed, base):
    """Only what changed; names with the component before them."""
    different = {key: value.float() for key, value in changed.items() if not torch.equal(value, base[key])}
    assert different, name
    save_file({f"unet/{key}": value.contiguous() for key, value in different.items()}, f"{name}-merged.safetensors")


def randomize(model, seed, marks):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if any(mark in name for mark in marks):
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            # Magnitudes stay near what they were.
            parameter.data = parameter * (1 + 0.2 * noise) if "magnitude" in name or "ia3" in name else noise


def peft_case(name, config, marks, seed):
    model = get_peft_model(unet(), config)
    randomize(model, seed, marks)
    for parameter in model.parameters():  # what the file can hold
        parameter.data = parameter.float().double()
    base = unet().state_dict()
    model.float().save_pretrained(name)
    Path(name, "README.md").unlink(missing_ok=True)
    # PEFT holds these in a set: another order in every process.
    file = Path(name, "adapter_config.json")
    contents = json.loads(file.read_text())
    for key in ("target_modules", "feedforward_modules"):
        if isinstance(contents.get(key), list):
            contents[key].sort()
    write_json(contents, file)
    model.double()
    save_merged(name, model.merge_and_unload().state_dict(), base)


def peft_cases():
    some = [QUERY, OUT, CONV]
    peft_case("peft-patterns", LoraConfig(
        r=4, lora_alpha=6, target_modules=some, rank_pattern={QUERY: 2, "conv1": 3}, alpha_pattern={"^" + OUT: 1.5}),
        ["lora_"], 1)
    peft_case("peft-rslora", LoraConfig(r=4, lora_alpha=8, target_modules=some, use_rslora=True), ["lora_"], 2)
    peft_case("peft-dora", LoraConfig(r=2, lora_alpha=3, target_modules=some, use_dora=True), ["lora_"], 3)
    peft_case("peft-bias", LoraConfig(r=2, lora_alpha=3, target_modules=[OUT, CONV], lora_bias=True), ["lora_"], 4)
    peft_case("peft-loha", LoHaConfig(r=2, alpha=3, target_modules=some), ["hada_"], 5)
    peft_case("peft-loha-tucker", LoHaConfig(r=2, alpha=3, target_modules=[CONV], use_effective_conv2d=True), ["hada_"], 6)
    peft_case("peft-lokr", LoKrConfig(r=1, alpha=3, target_modules=some, decompose_both=True), ["lokr_"], 7)
    peft_case("peft-lokr-whole", LoKrConfig(r=8, alpha=3, target_modules=some), ["lokr_"], 8)
    peft_case("peft-ia3", IA3Config(
        target_modules=[QUERY, OUT, FEED, CONV], feedforward_modules=[FEED, CONV]), ["ia3"], 9)


def diffusers_case():
    """Scales in the header, as diffusers' save_lora_weights writes them: ranks and alphas of their own for some layers."""
    config = LoraConfig(r=4, lora_alpha=16, target_modules=[QUERY, OUT, CONV], rank_pattern={CONV: 2}, alpha_pattern={CONV: 3})
    model = unet()
    model.add_adapter(config)
    randomize(model, 11, ["lora_"])
    layers = {key: value.float() for key, value in get_peft_model_state_dict(model).items()}
    StableDiffusionPipeline.save_lora_weights(
        ".", unet_lora_layers=layers, weight_name="diffusers-header.safetensors",
        unet_lora_adapter_metadata=config.to_dict())
    # What the file says, read back by diffusers.
    reread = unet()
    state, _, metadata = StableDiffusionPipeline.lora_state_dict(
        ".", weight_name="diffusers-header.safetensors", return_lora_metadata=True)
    reread.load_lora_adapter(state, metadata=metadata, prefix="unet")
    base = unet().state_dict()
    reread.double().fuse_lora()
    merged = {key.replace(".base_layer", ""): value for key, value in reread.state_dict().items() if "lora_" not in key}
    save_merged("diffusers-header", merged, base)


def kohya(module):
    return "lora_unet_" + module.replace(".", "_")


def weight_decomposed(weight, magnitude, per_output):
    """LyCORIS: magnitude · direction, the norm over an output's or an input's weights."""
    dims = tuple(range(1, weight.dim())) if per_output else (0, *range(2, weight.dim()))
    return weight * (magnitude / torch.linalg.vector_norm(weight, dim=dims, keepdim=True))


class Kohya:
    """A file in kohya's and LyCORIS's naming, and what it makes of the model at the scale 0.5."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.base = unet().state_dict()
        self.changed = dict(self.base)
        self.tensors = {}

    def random(self, *shape):
        return torch.randn(shape, generator=self.generator)

    def put(self, module, **tensors):
        for key, tensor in tensors.items():
            self.tensors[f"{kohya(module)}.{key.replace('__', '.')}"] = torch.as_tensor(tensor).float().contiguous()

    def change(self, module, delta, magnitude=None, per_output=True, kind="weight"):
        weight = self.base[f"{module}.{kind}"] + 0.5 * delta.double().reshape(self.base[f"{module}.{kind}"].shape)
        if magnitude is not None:
            weight = weight_decomposed(weight, magnitude.double(), per_output)
        self.changed[f"{module}.{kind}"] = weight

    def save(self, name):
        save_file(self.tensors, f"{name}.safetensors")
        save_merged(name, self.changed, self.base)


def magnitudes(file, module, per_output):
    weight = file.base[module + ".weight"]
    dims = tuple(range(1, weight.dim())) if per_output else (0, *range(2, weight.dim()))
    norm = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
    return (norm * (1 + 0.2 * file.random(*norm.shape))).float()


def lycoris_cases():
    file = Kohya(21)
    for module, per_output in [(QUERY, True), (CONV, True), (OUT, False), (POINT, False)]:
        shape = file.base[module + ".weight"].shape
        up, down = file.random(shape[0], 2, *[1] * (len(shape) - 2)), file.random(2, *shape[1:])
        scale = magnitudes(file, module, per_output)
        file.put(module, lora_up__weight=up, lora_down__weight=down, alpha=1.0, dora_scale=scale)
        file.change(module, 0.5 * up.double().flatten(1) @ down.double().flatten(1), scale, per_output)
    file.save("kohya-dora")

    file = Kohya(22)
    out, inner, *k = file.base[CONV + ".weight"].shape
    up, mid, down = file.random(out, 3, 1, 1), file.random(3, 2, *k), file.random(2, inner, 1, 1)
    file.put(CONV, lora_up__weight=up, lora_mid__weight=mid, lora_down__weight=down, alpha=1.0)
    file.change(CONV, 0.5 * rebuild_tucker(mid.double(), up.double().flatten(1).T, down.double().flatten(1)))
    file.put(FEED, diff=(delta := file.random(*file.base[FEED + ".weight"].shape)), diff_b=(bias := file.random(4)))
    file.change(FEED, delta)
    file.change(FEED, bias, kind="bias")
    file.put(NORM, w_norm=(scale := file.random(4)), b_norm=(shift := file.random(4)))
    file.change(NORM, scale)
    file.change(NORM, shift, kind="bias")
    file.save("kohya-locon")

    file = Kohya(23)
    for module in [QUERY, POINT]:
        out, inner = file.base[module + ".weight"].shape[:2]
        w = [file.random(2, inner), file.random(out, 2), file.random(2, inner), file.random(out, 2)]
        file.put(module, hada_w1_b=w[0], hada_w1_a=w[1], hada_w2_b=w[2], hada_w2_a=w[3], alpha=3.0)
        file.change(module, loha.diff_weight(*[t.double() for t in w], None, None, gamma=torch.tensor(1.5).double()))
    out, inner, *k = file.base[CONV + ".weight"].shape
    w = [file.random(2, inner), file.random(2, out), file.random(2, inner), file.random(2, out)]
    t1, t2 = file.random(2, 2, *k), file.random(2, 2, *k)
    file.put(CONV, hada_w1_b=w[0], hada_w1_a=w[1], hada_w2_b=w[2], hada_w2_a=w[3], hada_t1=t1, hada_t2=t2, alpha=1.0)
    doubles = [t.double() for t in [*w, t1, t2]]
    file.change(CONV, loha.diff_weight(*doubles, gamma=torch.tensor(0.5).double()))
    file.save("kohya-loha")

    file = Kohya(24)
    # Both whole: the alpha beside them has no meaning.
    w1, w2 = file.random(2, 2), file.random(2, 2)
    file.put(QUERY, lokr_w1=w1, lokr_w2=w2, alpha=8.0)
    file.change(QUERY, lokr.kron_weight(w1.double(), None, None, w2.double(), None, None))
    a, b, c, d = file.random(2, 1), file.random(1, 2), file.random(2, 1), file.random(1, 2)
    file.put(OUT, lokr_w1_a=a, lokr_w1_b=b, lokr_w2_a=c, lokr_w2_b=d, alpha=3.0)
    file.change(OUT, lokr.kron_weight(None, a.double(), b.double(), None, c.double(), d.double(), scale=3.0))
    w1, a, b, t = file.random(2, 2), file.random(1, 2), file.random(1, 2), file.random(1, 1, 3, 3)
    file.put(CONV, lokr_w1=w1, lokr_w2_a=a, lokr_w2_b=b, lokr_t2=t, alpha=0.5)
    file.change(CONV, lokr.kron_weight(w1.double(), None, None, None, a.double(), b.double(), t.double(), scale=0.5))
    file.save("kohya-lokr")

    file = Kohya(25)
    for module, on_input in [(QUERY, False), (CONV, True)]:
        weight = file.base[module + ".weight"]
        vector = file.random(weight.shape[1 if on_input else 0])
        file.put(module, weight=vector, on_input=torch.tensor(on_input))
        shape = [1, -1] if on_input else [-1, 1]
        file.change(module, weight * vector.double().reshape(shape + [1] * (weight.dim() - 2)))
    file.save("kohya-ia3")


def naming_case():
    """Text halves and ComfyUI's names."""
    weights = load_file(MODEL + "/text_encoder/model.safetensors")
    generator = torch.Generator().manual_seed(31)
    down, up = torch.randn(2, 4, generator=generator), torch.randn(4, 2, generator=generator)
    merged = {f"text_encoder/{TEXT}.weight": (weights[TEXT + ".weight"].double() + up.double() @ down.double()).float()}
    names = {
        "te1": "lora_te1_" + TEXT.replace(".", "_") + ".lora_{}.weight",
        "comfy-text": "text_encoders.clip_l.transformer." + TEXT + ".lora_{}.weight",
        "text-half": "text_encoder." + TEXT.removeprefix("text_model.") + ".lora_{}.weight",
    }
    for name, pattern in names.items():
        parts = ("A", "B") if name == "text-half" else ("down", "up")
        save_file({pattern.format(parts[0]): down, pattern.format(parts[1]): up}, f"{name}.safetensors")
        save_file(merged, f"{name}-merged.safetensors")
    base = load_file(MODEL + "/unet/diffusion_pytorch_model.safetensors")
    ldm = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q"
    save_file({ldm + ".lora_down.weight": down, ldm + ".lora_up.weight": up}, f"comfy-unet.safetensors")
    save_file(
        {f"unet/{QUERY}.weight": (base[QUERY + ".weight"].double() + up.double() @ down.double()).float()},
        f"comfy-unet-merged.safetensors")


def make(folder: Path):
    torch.set_num_threads(1)
    with contextlib.chdir(folder):
        peft_cases()
        diffusers_case()
        lycoris_cases()
        naming_case()
