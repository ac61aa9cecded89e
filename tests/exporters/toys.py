"""Real diffusers pipelines at toy size, built from configs, with random weights and a small vocabulary."""

import string

import diffusers
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

LENGTH = 16
START, END = "<|startoftext|>", "<|endoftext|>"


def tokenizer(pad=END):
    letters = [*string.ascii_lowercase, *string.digits]
    words = ["l", "o", "w</w>", *letters, *(f"{letter}</w>" for letter in letters), "lo", "low</w>", START, END]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(["!", *words]))}
    made = CLIPTokenizer(vocab=vocabulary, merges=[("l", "o"), ("lo", "w</w>")], pad_token=pad)
    made.model_max_length = LENGTH
    return made


def text_config(words, width=32, projection=32, act="quick_gelu"):
    return CLIPTextConfig(
        vocab_size=words, hidden_size=width, intermediate_size=37, num_attention_heads=4, num_hidden_layers=3,
        max_position_embeddings=LENGTH, projection_dim=projection, bos_token_id=words - 2, eos_token_id=words - 1,
        hidden_act=act,
    )  # fmt: skip


def vae(channels=4, **more):
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16), in_channels=3, out_channels=3, latent_channels=channels, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip


def stable_diffusion(scheduler=None, embeds_guidance=False, prediction="epsilon"):
    torch.manual_seed(0)
    words = tokenizer()
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=4, norm_num_groups=4,
        time_cond_proj_dim=32 if embeds_guidance else None,
    )  # fmt: skip
    scheduler = scheduler or diffusers.LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction
    )
    kind = diffusers.LatentConsistencyModelPipeline if embeds_guidance else diffusers.StableDiffusionPipeline
    return quiet(
        kind(
            vae=vae(), text_encoder=CLIPTextModel(text_config(len(words))).eval(), tokenizer=words, unet=unet.eval(),
            scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )
    )  # fmt: skip


def stable_diffusion_xl(scheduler):
    torch.manual_seed(0)
    first, second = tokenizer(), tokenizer(pad="!")
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time", norm_num_groups=4,
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 2), projection_class_embeddings_input_dim=80,
        cross_attention_dim=64,
    )  # fmt: skip
    return quiet(
        diffusers.StableDiffusionXLPipeline(
            vae=vae(), unet=unet.eval(), scheduler=scheduler, tokenizer=first, tokenizer_2=second,
            text_encoder=CLIPTextModel(text_config(len(first))).eval(),
            text_encoder_2=CLIPTextModelWithProjection(text_config(len(second), act="gelu")).eval(),
            add_watermarker=False,
        )
    )  # fmt: skip


def t5():
    """(encoder, tokenizer): every letter a piece."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((c, -3.0) for c in string.ascii_lowercase)]
    words = T5Tokenizer(vocab=pieces, extra_ids=0)
    config = T5Config(vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return T5EncoderModel(config).eval(), words


def stable_diffusion_3(shift=3.0):
    torch.manual_seed(0)
    first, second, (third, pieces) = tokenizer(), tokenizer(), t5()
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=16, patch_size=1, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=64, pooled_projection_dim=64,
        pos_embed_max_size=48,
    )  # fmt: skip
    third = T5EncoderModel(T5Config(**{**third.config.to_dict(), "d_model": 64})).eval()
    encoders = [CLIPTextModelWithProjection(text_config(len(first))).eval() for _ in range(2)]
    return quiet(
        diffusers.StableDiffusion3Pipeline(
            transformer=transformer.eval(), vae=vae(4, shift_factor=0.06, scaling_factor=1.5), tokenizer=first,
            tokenizer_2=second, tokenizer_3=pieces, text_encoder=encoders[0], text_encoder_2=encoders[1],
            text_encoder_3=third, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=shift),
        )
    )  # fmt: skip


def flux():
    torch.manual_seed(0)
    words, (encoder, pieces) = tokenizer(), t5()
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=False,
    )  # fmt: skip
    return quiet(
        diffusers.FluxPipeline(
            transformer=transformer.eval(), vae=vae(4, shift_factor=0.06, scaling_factor=1.5), tokenizer=words,
            tokenizer_2=pieces, text_encoder=CLIPTextModel(text_config(len(words))).eval(), text_encoder_2=encoder,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0),
        )
    )  # fmt: skip


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save_lora(folder, seed):
    """A LoRA with random weights for stable_diffusion's UNet, in diffusers' layout."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = stable_diffusion()
    torch.manual_seed(seed)
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    diffusers.StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
    return str(folder)
