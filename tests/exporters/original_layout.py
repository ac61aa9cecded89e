"""A Stable Diffusion pipeline of diffusers written back as one file in the layout of its authors (CompVis latent-diffusion).

Names follow diffusers' own scripts/convert_diffusers_to_original_stable_diffusion.py, for any number of blocks.
"""

from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}  # fmt: skip
ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
    "query": "q", "key": "k", "value": "v", "proj_attn": "proj_out",
}  # fmt: skip


def unet_names(unet):
    """(diffusers' beginning, the original's), longest first."""
    config = unet.config
    blocks, layers = len(config.block_out_channels), config.layers_per_block
    pairs = {
        "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1", "mid_block.resnets.0": "middle_block.0",
        "mid_block.resnets.1": "middle_block.2",
    }  # fmt: skip
    for i in range(blocks):
        for j in range(layers):
            at = f"input_blocks.{(layers + 1) * i + j + 1}"
            pairs[f"down_blocks.{i}.resnets.{j}"], pairs[f"down_blocks.{i}.attentions.{j}"] = f"{at}.0", f"{at}.1"
        pairs[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{(layers + 1) * (i + 1)}.0.op"
        for j in range(layers + 1):
            at = f"output_blocks.{(layers + 1) * i + j}"
            pairs[f"up_blocks.{i}.resnets.{j}"], pairs[f"up_blocks.{i}.attentions.{j}"] = f"{at}.0", f"{at}.1"
        attends = "CrossAttn" in config.up_block_types[i]
        last = f"output_blocks.{(layers + 1) * i + layers}.{2 if attends else 1}"
        pairs[f"up_blocks.{i}.upsamplers.0"] = last
    return pairs


def vae_names(vae):
    blocks, layers = len(vae.config.block_out_channels), vae.config.layers_per_block
    pairs = {}
    for side in ("encoder", "decoder"):
        pairs[f"{side}.conv_norm_out"] = f"{side}.norm_out"
        pairs[f"{side}.mid_block.attentions.0"] = f"{side}.mid.attn_1"
        for i in range(2):
            pairs[f"{side}.mid_block.resnets.{i}"] = f"{side}.mid.block_{i + 1}"
    for i in range(blocks):
        pairs[f"encoder.down_blocks.{i}.downsamplers.0"] = f"encoder.down.{i}.downsample"
        pairs[f"decoder.up_blocks.{i}.upsamplers.0"] = f"decoder.up.{blocks - 1 - i}.upsample"
        for j in range(layers):
            pairs[f"encoder.down_blocks.{i}.resnets.{j}"] = f"encoder.down.{i}.block.{j}"
        for j in range(layers + 1):
            pairs[f"decoder.up_blocks.{i}.resnets.{j}"] = f"decoder.up.{blocks - 1 - i}.block.{j}"
    return pairs


def _renamed(key, pairs, inner):
    for ours, theirs in pairs.items():
        if key.startswith(f"{ours}."):
            rest = key.removeprefix(f"{ours}.")
            for mine, its in inner(ours).items():
                if rest.startswith(f"{mine}."):
                    rest = its + rest.removeprefix(mine)
                    break
            return f"{theirs}.{rest}"
    return key


def save_single_file(pipe, path):
    """Writes UNet, autoencoder and text encoder of a Stable Diffusion 1.x pipeline to one safetensors file."""
    whole = {}
    names = unet_names(pipe.unet)
    for key, value in pipe.unet.state_dict().items():
        name = _renamed(key, names, lambda at: RESNET if ".resnets." in at else {})
        whole[f"model.diffusion_model.{name}"] = value.contiguous()
    names = vae_names(pipe.vae)
    inner = {True: ATTENTION, False: {"conv_shortcut": "nin_shortcut"}}
    for key, value in pipe.vae.state_dict().items():
        name = _renamed(key, names, lambda at: inner["attentions" in at])
        linear = ".attn_1." in name and name.endswith("weight") and ".norm." not in name
        whole[f"first_stage_model.{name}"] = (value[:, :, None, None] if linear else value).contiguous()
    for key, value in pipe.text_encoder.state_dict().items():
        full = key if key.startswith("text_model.") else f"text_model.{key}"
        whole[f"cond_stage_model.transformer.{full}"] = value.contiguous()
    save_file(whole, path)
