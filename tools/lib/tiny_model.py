"""A Stable Diffusion 1.x model of a few thousand random parameters, its tensors written out by hand."""

import torch

UNET = {
    "_class_name": "UNet2DConditionModel",
    "block_out_channels": [4, 8],
    "layers_per_block": 1,
    "cross_attention_dim": 4,
    "attention_head_dim": 2,
    "norm_num_groups": 2,
    "sample_size": 8,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
VAE = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [4, 6],
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "sample_size": 16,
    "scaling_factor": 0.5,
    "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
}
TEXT_ENCODER = {
    "model_type": "clip_text_model",
    "vocab_size": 20,
    "hidden_size": 4,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "hidden_act": "quick_gelu",
    "bos_token_id": 18,
    "eos_token_id": 19,
    "pad_token_id": 19,
}
TIME, CONTEXT = 16, 4


def norm(name, width):
    return {f"{name}.weight": [width], f"{name}.bias": [width]}


def layer(name, *shape, bias=True):
    return {f"{name}.weight": list(shape)} | ({f"{name}.bias": [shape[0]]} if bias else {})


def resnet(name, a, b, time=None):
    shapes = norm(f"{name}.norm1", a) | layer(f"{name}.conv1", b, a, 3, 3)
    shapes |= layer(f"{name}.time_emb_proj", b, time) if time else {}
    shapes |= norm(f"{name}.norm2", b) | layer(f"{name}.conv2", b, b, 3, 3)
    return shapes | (layer(f"{name}.conv_shortcut", b, a, 1, 1) if a != b else {})


def transformer(name, c):
    block = f"{name}.transformer_blocks.0"
    shapes = norm(f"{name}.norm", c) | layer(f"{name}.proj_in", c, c, 1, 1) | layer(f"{name}.proj_out", c, c, 1, 1)
    for i in (1, 2, 3):
        shapes |= norm(f"{block}.norm{i}", c)
    for attention, width in ((f"{block}.attn1", c), (f"{block}.attn2", CONTEXT)):
        shapes |= layer(f"{attention}.to_q", c, c, bias=False) | layer(f"{attention}.to_out.0", c, c)
        shapes |= layer(f"{attention}.to_k", c, width, bias=False) | layer(f"{attention}.to_v", c, width, bias=False)
    return shapes | layer(f"{block}.ff.net.0.proj", 8 * c, c) | layer(f"{block}.ff.net.2", c, 4 * c)


def unet():
    shapes = layer("conv_in", 4, 4, 3, 3) | layer("time_embedding.linear_1", TIME, 4)
    shapes |= layer("time_embedding.linear_2", TIME, TIME)
    shapes |= resnet("down_blocks.0.resnets.0", 4, 4, TIME) | transformer("down_blocks.0.attentions.0", 4)
    shapes |= layer("down_blocks.0.downsamplers.0.conv", 4, 4, 3, 3) | resnet("down_blocks.1.resnets.0", 4, 8, TIME)
    shapes |= resnet("mid_block.resnets.0", 8, 8, TIME) | transformer("mid_block.attentions.0", 8)
    shapes |= resnet("mid_block.resnets.1", 8, 8, TIME)
    shapes |= resnet("up_blocks.0.resnets.0", 16, 8, TIME) | resnet("up_blocks.0.resnets.1", 12, 8, TIME)
    shapes |= layer("up_blocks.0.upsamplers.0.conv", 8, 8, 3, 3)
    shapes |= resnet("up_blocks.1.resnets.0", 12, 4, TIME) | resnet("up_blocks.1.resnets.1", 8, 4, TIME)
    shapes |= transformer("up_blocks.1.attentions.0", 4) | transformer("up_blocks.1.attentions.1", 4)
    return shapes | norm("conv_norm_out", 4) | layer("conv_out", 4, 4, 3, 3)


def vae():
    shapes = {}
    for part in ("encoder", "decoder"):
        shapes |= norm(f"{part}.mid_block.attentions.0.group_norm", 6)
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            shapes |= layer(f"{part}.mid_block.attentions.0.{name}", 6, 6)
        shapes |= resnet(f"{part}.mid_block.resnets.0", 6, 6) | resnet(f"{part}.mid_block.resnets.1", 6, 6)
    shapes |= layer("encoder.conv_in", 4, 3, 3, 3) | resnet("encoder.down_blocks.0.resnets.0", 4, 4)
    shapes |= layer("encoder.down_blocks.0.downsamplers.0.conv", 4, 4, 3, 3)
    shapes |= resnet("encoder.down_blocks.1.resnets.0", 4, 6)
    shapes |= norm("encoder.conv_norm_out", 6) | layer("encoder.conv_out", 8, 6, 3, 3)
    shapes |= layer("decoder.conv_in", 6, 4, 3, 3)
    shapes |= norm("decoder.conv_norm_out", 4) | layer("decoder.conv_out", 3, 4, 3, 3)
    shapes |= resnet("decoder.up_blocks.0.resnets.0", 6, 6) | resnet("decoder.up_blocks.0.resnets.1", 6, 6)
    shapes |= layer("decoder.up_blocks.0.upsamplers.0.conv", 6, 6, 3, 3)
    shapes |= resnet("decoder.up_blocks.1.resnets.0", 6, 4) | resnet("decoder.up_blocks.1.resnets.1", 4, 4)
    return shapes | layer("quant_conv", 8, 8, 1, 1) | layer("post_quant_conv", 4, 4, 1, 1)


def text_encoder():
    shapes = layer("embeddings.token_embedding", 20, 4, bias=False)
    shapes |= layer("embeddings.position_embedding", 8, 4, bias=False)
    for i in range(2):
        base = f"encoder.layers.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= layer(f"{base}.self_attn.{part}", 4, 4)
        shapes |= norm(f"{base}.layer_norm1", 4) | norm(f"{base}.layer_norm2", 4)
        shapes |= layer(f"{base}.mlp.fc1", 8, 4) | layer(f"{base}.mlp.fc2", 4, 8)
    return {f"text_model.{k}": v for k, v in (shapes | norm("final_layer_norm", 4)).items()}


def random_weights(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.randn(v, generator=generator).half().float() for k, v in shapes.items()}


def model():
    """Component → (configuration, weights), values representable in half precision."""
    return {
        "unet": (UNET, random_weights(unet(), 1)),
        "vae": (VAE, random_weights(vae(), 2)),
        "text_encoder": (TEXT_ENCODER, random_weights(text_encoder(), 3)),
    }
