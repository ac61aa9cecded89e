"""More real diffusers pipelines at toy size: Sana-Sprint, PixArt, FLUX.2-klein, Stable Audio, AnimateDiff."""

import diffusers
import torch
from diffusers.pipelines.stable_audio import StableAudioProjectionModel
from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from toys import CLIPTextModel, quiet, t5, text_config, tokenizer, vae
from transformers import (
    Gemma2Config,
    Gemma2Model,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5GemmaConfig,
    T5GemmaEncoderModel,
)

VP = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
CHAT = "{% for m in messages %}<s>{{ m.role }} {{ m.content }}</s>{% endfor %}<s>robot "


def letters(**special):
    """A tokenizer of single characters, as transformers keeps any fast one."""
    words = ["<pad>", "<s>", "</s>", "<unk>", *map(chr, range(32, 127)), "\n"]
    fast = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast.add_special_tokens([AddedToken(word, normalized=False) for word in words[:4]])
    return PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="<pad>", unk_token="<unk>", **special)


def sana_sprint():
    torch.manual_seed(0)
    words = letters(bos_token="<s>", eos_token="</s>", padding_side="left")
    text = Gemma2Config(
        vocab_size=len(words), hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, sliding_window=4096, max_position_embeddings=4096,
    )  # fmt: skip
    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4, caption_channels=16,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, sample_size=32, patch_size=1,
        qk_norm="rms_norm_across_heads", guidance_embeds=True,
    )  # fmt: skip
    coder = diffusers.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), upsample_block_type="interpolate",
        downsample_block_type="stride_conv", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    )  # fmt: skip
    return quiet(
        diffusers.SanaSprintPipeline(
            tokenizer=words, text_encoder=Gemma2Model(text).eval(), vae=coder.eval(), transformer=transformer.eval(),
            scheduler=diffusers.SCMScheduler(),
        )
    )  # fmt: skip


def pixart(scheduler, kind="PixArtAlphaPipeline", told=False):
    torch.manual_seed(0)
    encoder, pieces = t5()
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=128 if told else 16, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3,
        caption_channels=32, in_channels=4, out_channels=8, cross_attention_dim=24, norm_type="ada_norm_single",
        norm_elementwise_affine=False, norm_eps=1e-6, use_additional_conditions=told,
    )  # fmt: skip
    return quiet(
        getattr(diffusers, kind)(
            transformer=transformer.eval(), vae=vae(), text_encoder=encoder, tokenizer=pieces, scheduler=scheduler
        )
    )


def flux_2_klein():
    torch.manual_seed(0)
    words = letters(eos_token="</s>", chat_template=CHAT)
    text = Qwen3Config(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=28, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=512,
    )  # fmt: skip
    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=256, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    coder = diffusers.AutoencoderKLFlux2(
        sample_size=32, in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, block_out_channels=(4, 8), layers_per_block=1, latent_channels=4,
        norm_num_groups=1,
    )  # fmt: skip
    coder.bn.running_mean.normal_()
    coder.bn.running_var.uniform_(0.5, 2.0)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, shift=3.0, time_shift_type="exponential"
    )
    return quiet(
        diffusers.Flux2KleinPipeline(
            scheduler=scheduler, vae=coder.eval(), text_encoder=Qwen3ForCausalLM(text).eval(), tokenizer=words,
            transformer=transformer.eval(), is_distilled=True,
        )
    )  # fmt: skip


def stable_audio():
    torch.manual_seed(0)
    encoder, pieces = t5()
    pieces.model_max_length = 16
    transformer = diffusers.StableAudioDiTModel(
        sample_size=12, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        num_key_value_attention_heads=2, out_channels=4, cross_attention_dim=32, time_proj_dim=8,
        global_states_input_dim=64, cross_attention_input_dim=32,
    )  # fmt: skip
    coder = diffusers.AutoencoderOobleck(
        encoder_hidden_size=6, downsampling_ratios=[2, 2], decoder_channels=4, decoder_input_channels=4,
        audio_channels=2, channel_multiples=[2, 4], sampling_rate=4,
    )  # fmt: skip
    return quiet(
        diffusers.StableAudioPipeline(
            transformer=transformer.eval(), scheduler=diffusers.CosineDPMSolverMultistepScheduler(solver_order=2),
            vae=coder.eval(), text_encoder=encoder, tokenizer=pieces,
            projection_model=StableAudioProjectionModel(
                text_encoder_dim=32, conditioning_dim=32, min_value=0, max_value=32
            ).eval(),
        )
    )  # fmt: skip


def stable_audio_3(stochastic=True):
    torch.manual_seed(0)
    words = letters(bos_token="<s>", eos_token="</s>", padding_side="left", model_max_length=24)
    text = dict(
        vocab_size=len(words), hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8,
    )  # fmt: skip
    transformer = diffusers.StableAudio3DiTModel(
        io_channels=4, embed_dim=16, depth=2, num_heads=2, cond_token_dim=16, global_cond_dim=16, local_add_cond_dim=5,
        timestep_features_dim=8, num_memory_tokens=2,
    )  # fmt: skip
    coder = diffusers.AutoencoderSAME(
        patch_size=2, encoder_channels=8, encoder_c_mults=[2], encoder_strides=[2], encoder_transformer_depths=[2],
        latent_dim=4, dim_heads=8, sampling_rate=4,
    )  # fmt: skip
    for weights in (transformer.preprocess_conv.weight, *coder.parameters()):
        torch.nn.init.normal_(weights, std=0.3)  # several start as zeros
    torch.nn.init.normal_(transformer.prompt_padding_embedding)
    return quiet(
        diffusers.StableAudio3Pipeline(
            transformer=transformer.eval(), vae=coder.eval(), tokenizer=words,
            text_encoder=T5GemmaEncoderModel(T5GemmaConfig(encoder=text, is_encoder_decoder=False)).eval(),
            duration_embedder=StableAudio3DurationEmbedder(output_dim=16, fourier_dim=8, max_val=12.0).eval(),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, stochastic_sampling=stochastic),
        )
    )  # fmt: skip


def animate_diff(scheduler):
    torch.manual_seed(0)
    words = tokenizer()
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=4, norm_num_groups=4,
    )  # fmt: skip
    motion = diffusers.MotionAdapter(
        block_out_channels=(8, 16), motion_layers_per_block=1, motion_norm_num_groups=2, motion_num_attention_heads=4
    )
    return quiet(
        diffusers.AnimateDiffPipeline(
            vae=vae(), text_encoder=CLIPTextModel(text_config(len(words))).eval(), tokenizer=words, unet=unet.eval(),
            motion_adapter=motion.eval(), scheduler=scheduler,
        )
    )  # fmt: skip
