"""Toy pipelines and parts that read pictures: ControlNets, inpainting networks, IP-Adapters."""

import diffusers
import torch
import toys
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection


def control(unet, seed=1):
    """A ControlNet of a toy, its zero convolutions no longer zero, as after training."""
    torch.manual_seed(seed)
    net = diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16))
    for layer in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
        torch.nn.init.normal_(layer.weight, std=0.2)
    return net


def inpainting(channels=9):
    pipe = toys.stable_diffusion()
    torch.manual_seed(2)
    unet = diffusers.UNet2DConditionModel.from_config({**pipe.unet.config, "in_channels": channels})
    components = {**pipe.components, "unet": unet.eval()}
    return toys.quiet(diffusers.StableDiffusionInpaintPipeline(**components, requires_safety_checker=False))


def inpainting_xl():
    pipe = toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(timestep_spacing="trailing"))
    torch.manual_seed(2)
    unet = diffusers.UNet2DConditionModel.from_config({**pipe.unet.config, "in_channels": 9})
    components = {**pipe.components, "unet": unet.eval()}
    return toys.quiet(diffusers.StableDiffusionXLInpaintPipeline(**components, add_watermarker=False))


def adapter(unet, folder, face="", side=24, width=32):
    """Writes an IP-Adapter's weights and its image encoder as their authors lay them out; gives the weights' file.

    face  "full" for an adapter of faces that reads a picture, "id" for one that reads the embedding of a recogniser
    """
    torch.manual_seed(3)
    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=37, projection_dim=width, num_hidden_layers=2, num_attention_heads=4,
        image_size=side, patch_size=8,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    across, tokens = unet.config.cross_attention_dim, 4
    weights = {
        "image_proj.proj.weight": torch.randn(tokens * across, width) / width**0.5,
        "image_proj.proj.bias": torch.randn(tokens * across) / 4,
        "image_proj.norm.weight": torch.ones(across),
        "image_proj.norm.bias": torch.zeros(across),
    }
    if face:  # a layer more: over the encoder's states, or over what a face recogniser says
        last = ("proj.3", across) if face == "full" else ("norm", across)
        shapes = {"proj.0": (width, width), "proj.2": (across, width)}
        weights = {f"image_proj.{name}.weight": torch.randn(shape) / width**0.5 for name, shape in shapes.items()}
        weights |= {f"image_proj.{name}.bias": torch.randn(shape[0]) for name, shape in shapes.items()}
        weights |= {f"image_proj.{last[0]}.{which}": torch.ones(last[1]) for which in ("weight", "bias")}
    places = [name for name in unet.attn_processors if "attn2" in name]
    for number, name in enumerate(places):
        inner = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for which in ("to_k_ip", "to_v_ip"):
            weights[f"ip_adapter.{2 * number + 1}.{which}.weight"] = torch.randn(inner, across) / across**0.5
    save_file(weights, folder / "adapter.safetensors")
    return folder / "adapter.safetensors"
