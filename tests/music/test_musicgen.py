"""MusicGen at toy size through the token engine, against transformers' own loop on the same weights."""

import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config  # noqa: E402
from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig  # noqa: E402

from cadenza.assets.refusal import Refusal  # noqa: E402
from cadenza.exporters.music.musicgen import MusicGen, export  # noqa: E402
from cadenza.runtime.engine.engine import Engine  # noqa: E402
from cadenza.runtime.engine.tokens.sampling import Sampling  # noqa: E402

FRAMES, TEXT, WORDS = 40, 12, 64
PROMPTS = [np.array([5, 9, 2, 7, 1]), np.array([11, 3, 1]), np.arange(2, 14)]


def toy(width=32, layers=3):
    """Every part with weights of a size at which attention is far from even, so that a wrong mask or position shows."""
    torch.manual_seed(0)
    text = T5Config(vocab_size=40, d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3)
    decoder = MusicgenDecoderConfig(
        vocab_size=WORDS,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        ffn_dim=2 * width,
        num_codebooks=4,
        max_position_embeddings=128,
        pad_token_id=WORDS,
        bos_token_id=WORDS,
        audio_channels=1,
    )
    codec = EncodecConfig(
        target_bandwidths=[16.0],
        sampling_rate=3200,
        hidden_size=16,
        num_filters=4,
        codebook_size=WORDS,
        codebook_dim=16,
        upsampling_ratios=[4, 2],
        num_lstm_layers=1,
        normalize=False,
        chunk_length_s=None,
    )
    model = MusicgenForConditionalGeneration(MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and not name.startswith("audio_encoder"):
                weight.normal_(0, 1.5 * weight.shape[-1] ** -0.5)
    model.generation_config.update(decoder_start_token_id=WORDS, pad_token_id=WORDS, bos_token_id=WORDS)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return toy()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("musicgen")
    export(model, folder, FRAMES, TEXT, store="fp32")
    return MusicGen(folder)


def theirs(model, tokens, guidance, **sampling):
    """Codes (codebooks, frames) and sound (samples,) of transformers' generate."""
    heard = []
    decode = model.audio_encoder.decode

    def listening(audio_codes, *rest, **terms):
        heard.append(audio_codes)
        return decode(audio_codes, *rest, **terms)

    model.audio_encoder.decode = listening
    try:
        ids = torch.from_numpy(tokens)[None]
        sound = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            guidance_scale=guidance,
            max_new_tokens=FRAMES + 3,
            **sampling,
        )
    finally:
        model.audio_encoder.decode = decode
    return heard[0][0, 0].numpy(), sound[0, 0].numpy()


def finished(*jobs):
    engine = Engine()
    for job in jobs:
        job.on_error = lambda _, error: pytest.fail(repr(error))
        engine.add(job)
    while engine.tick():
        pass
    return [job.tokens for job in jobs]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("prompt", range(len(PROMPTS)))
def test_greedy_codes_and_their_sound_are_those_of_transformers(model, exported, prompt, guidance):
    codes, sound = theirs(model, PROMPTS[prompt], guidance, do_sample=False)
    condition = exported.condition(PROMPTS[prompt])
    (tokens,) = finished(exported.job(condition, 0, Sampling(temperature=0.0), guidance))
    assert codes.shape[1] == FRAMES
    assert len(np.unique(codes)) > 4
    np.testing.assert_array_equal(tokens, codes)
    np.testing.assert_allclose(exported.sound(tokens)[0], sound, atol=1e-4 * np.abs(sound).max())


def test_the_prompt_is_heard(exported):
    how = Sampling(temperature=0.0)
    one, other = finished(*(exported.job(exported.condition(each), 0, how) for each in PROMPTS[:2]))
    assert (one != other).mean() > 0.2


def test_a_piece_is_the_same_alone_and_beside_others(exported):
    jobs = [
        lambda seed=seed: exported.job(
            exported.condition(PROMPTS[seed % 3]), seed, Sampling(1.0, 20, 0.0), 1.0 + seed % 3
        )
        for seed in range(6)
    ]
    together = finished(*(job() for job in jobs))
    for job, expected in zip(jobs, together, strict=True):
        np.testing.assert_array_equal(finished(job())[0], expected)
    assert (together[0] != together[3]).any()


def test_a_prompt_that_is_too_long_is_refused(exported):
    with pytest.raises(Refusal, match=r"has 13 tokens, the graphs were made for 1 to 12"):
        exported.condition(np.ones(TEXT + 1))


def test_a_codec_that_splits_its_sound_is_refused(model, tmp_path):
    model.audio_encoder.config.chunk_length_s = 1.0
    try:
        with pytest.raises(Refusal, match="splits or normalises"):
            export(model, tmp_path, FRAMES, TEXT)
    finally:
        model.audio_encoder.config.chunk_length_s = None


@pytest.mark.slow
def test_tokens_come_at_least_three_times_as_quickly_as_from_transformers_loop(model, exported):
    prompt = PROMPTS[0]
    condition = exported.condition(prompt)
    sampling = dict(do_sample=True, top_k=20, temperature=1.0)

    def seconds(run):
        took = []
        for _ in range(5):
            began = time.perf_counter()
            run()
            took.append(time.perf_counter() - began)
        return sorted(took)[2]

    ours = seconds(lambda: finished(exported.job(condition, 1, Sampling(1.0, 20, 0.0))))
    loop = seconds(lambda: theirs(model, prompt, 3.0, **sampling))
    print(f"{4 * FRAMES / ours:.0f} tokens/s, transformers {4 * FRAMES / loop:.0f}, ratio {loop / ours:.2f}")
    assert loop / ours >= 3
