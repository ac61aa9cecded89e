"""MusicGen at toy size through the token engine, against transformers' own loop on the same weights."""

import json
import threading
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from tokenizers import Tokenizer  # noqa: E402
from tokenizers.models import WordLevel  # noqa: E402
from tokenizers.pre_tokenizers import Whitespace  # noqa: E402
from tokenizers.processors import TemplateProcessing  # noqa: E402
from transformers import (  # noqa: E402
    EncodecConfig,
    MusicgenConfig,
    MusicgenForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
)
from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig  # noqa: E402

from cadenza.assets.bundle import load_bundle  # noqa: E402
from cadenza.assets.refusal import Refusal  # noqa: E402
from cadenza.bindings.command.app import run  # noqa: E402
from cadenza.bridge import connect  # noqa: E402
from cadenza.bridge.server import serve  # noqa: E402
from cadenza.exporters.music.musicgen import export  # noqa: E402
from cadenza.runtime.engine.engine import Engine  # noqa: E402
from cadenza.runtime.engine.tokens.sampling import Sampling  # noqa: E402
from cadenza.runtime.music.codes import job_of, open_codes  # noqa: E402
from cadenza.runtime.runtime import Runtime  # noqa: E402

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
        for layer in model.audio_encoder.quantizer.layers:  # which begin as zeros: every code would sound alike
            layer.codebook.embed.normal_(0, 1.0)
    model.generation_config.update(decoder_start_token_id=WORDS, pad_token_id=WORDS, bos_token_id=WORDS)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return toy()


VOCABULARY = ["<pad>", "</s>", "<unk>", "tense", "calm", "drums", "strings", "a", "piano", "with", "slow", "fast"]


def tokenizer():
    """One that cuts at spaces and ends with </s>, as T5's does."""
    raw = Tokenizer(WordLevel({word: at for at, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    raw.pre_tokenizer = Whitespace()
    raw.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return export(model, tokenizer(), tmp_path_factory.mktemp("musicgen"), FRAMES, TEXT, store="fp32").folder


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    return open_codes(load_bundle(folder), "auto", tmp_path_factory.mktemp("proofs"))


def job(network, condition, seed, how, guidance=3.0):
    return job_of(network, condition, seed, how, guidance)


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
    (tokens,) = finished(job(exported, condition, 0, Sampling(temperature=0.0), guidance))
    assert codes.shape[1] == FRAMES
    assert len(np.unique(codes)) > 4
    np.testing.assert_array_equal(tokens, codes)
    np.testing.assert_allclose(exported.heard(tokens)[0], sound, atol=1e-4 * np.abs(sound).max())


def test_the_prompt_is_heard(exported):
    how = Sampling(temperature=0.0)
    one, other = finished(*(job(exported, exported.condition(each), 0, how) for each in PROMPTS[:2]))
    assert (one != other).mean() > 0.2


def test_a_piece_is_the_same_alone_and_beside_others(exported):
    jobs = [
        lambda seed=seed: job(
            exported, exported.condition(PROMPTS[seed % 3]), seed, Sampling(1.0, 20, 0.0), 1.0 + seed % 3
        )
        for seed in range(6)
    ]
    together = finished(*(make() for make in jobs))
    for make, expected in zip(jobs, together, strict=True):
        np.testing.assert_array_equal(finished(make())[0], expected)
    assert (together[0] != together[3]).any()


def test_a_prompt_that_is_too_long_is_refused(exported):
    with pytest.raises(Refusal, match=r"has 13 tokens, the graphs were made for 1 to 12"):
        exported.condition(np.ones(TEXT + 1))


def test_a_codec_that_splits_its_sound_is_refused(model, tmp_path):
    model.audio_encoder.config.chunk_length_s = 1.0
    try:
        with pytest.raises(Refusal, match="splits or normalises"):
            export(model, tokenizer(), tmp_path, FRAMES, TEXT)
    finally:
        model.audio_encoder.config.chunk_length_s = None


def test_over_a_socket_a_prompt_gives_the_sound_that_transformers_makes_of_it_and_its_recipe_replays(
    model, folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    bound, ready, stop = [], threading.Event(), threading.Event()
    wanted = {"kind": "musicgen", "prompt": "tense drums with strings", "seed": 4}
    ids = np.array(tokenizer()(wanted["prompt"]).input_ids)
    _, expected = theirs(model, ids, 3.0, do_sample=False)
    with Runtime([folder], "onnxruntime", threads=1) as runtime:
        told = dict(ready=lambda at: (bound.append(at), ready.set()), stop=stop)
        thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=told)
        thread.start()
        assert ready.wait(20)
        try:
            with connect(bound[0]) as game:
                (offer,) = game.describe()["bundles"]
                assert (offer["kind"], offer["sample_rate_hz"]) == ("musicgen", 3200)
                greedy = game.submit({**wanted, "temperature": 0.0, "guidance": 3.0}).result(60)
                drawn = [game.submit({**wanted, "seed": seed, "top_k": 20, "guidance": 1.0}) for seed in (4, 5)]
                drawn = [ticket.result(60) for ticket in drawn]
                assert game.replay(drawn[0]).digest == drawn[0].digest != drawn[1].digest
                assert drawn[0].recipe["top_k"] == 20
                for field, value in (
                    ("temperature", -1.0),
                    ("top_k", -1),
                    ("guidance", 99.0),
                    ("bars", 4),
                    ("seed", -1),
                ):
                    with pytest.raises(Refusal) as refused:
                        game.submit({**wanted, field: value}).result(60)
                    assert refused.value.field == field
        finally:
            stop.set()
            thread.join()
    np.testing.assert_allclose(greedy.audio[:, 0], expected, atol=1e-4 * np.abs(expected).max())
    assert (greedy.rate, greedy.seconds) == (3200, FRAMES * 8 / 3200)


def test_a_checkpoint_is_exported_by_the_command_that_exports_everything(model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "checkpoint")
    tokenizer().save_pretrained(tmp_path / "checkpoint")
    assert (
        run(["export", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "out"), "--seconds", "0.1", "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    bundle = load_bundle(tmp_path / "out")
    assert (bundle.digest, bundle.manifest.kind) == (said["digest"], "musicgen")
    assert bundle.manifest.frames == 40
    assert said["family"] == "musicgen"


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

    ours = seconds(lambda: finished(job(exported, condition, 1, Sampling(1.0, 20, 0.0))))
    loop = seconds(lambda: theirs(model, prompt, 3.0, **sampling))
    print(f"{4 * FRAMES / ours:.0f} tokens/s, transformers {4 * FRAMES / loop:.0f}, ratio {loop / ours:.2f}")
    assert loop / ours >= 3
