"""LoRAs and textual inversions become part of a pipeline exactly as diffusers applies them."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys

from cadenza.assets.manifest import Text, Tokenizer
from cadenza.assets.refusal import Refusal
from cadenza.assets.tokens import parse
from cadenza.exporters.diffusion.additions import add_inversions, fuse_loras, parse_lora
from cadenza.exporters.tokenizer import tokenizer_file

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def answer(pipe):
    torch.manual_seed(3)
    given = (torch.randn(1, 4, 16, 16), torch.tensor([500.0]), torch.randn(1, toys.LENGTH, 32))
    with torch.no_grad():
        return pipe.unet(*given, return_dict=False)[0].numpy()


def test_two_loras_at_two_strengths_equal_diffusers_with_both_active(tmp_path):
    files = [toys.save_lora(tmp_path / name, seed) for name, seed in (("one", 1), ("two", 2))]
    active = toys.stable_diffusion()
    for name, file in zip("ab", files, strict=True):
        active.load_lora_weights(file, adapter_name=name)
    active.set_adapters(["a", "b"], [0.8, 0.5])
    fused = toys.stable_diffusion()
    plain = answer(fused)
    fuse_loras(fused, list(zip(files, (0.8, 0.5), strict=True)))
    np.testing.assert_allclose(answer(fused), answer(active), rtol=0, atol=1e-5)
    assert np.abs(answer(fused) - plain).max() > 1e-3
    assert not any("lora" in name for name, _ in fused.unet.named_parameters())


def test_the_token_of_a_textual_inversion_is_in_the_bundles_tokenizer_and_has_its_embedding(tmp_path):
    embedding = torch.randn(32)
    torch.save({"<moss>": embedding}, tmp_path / "moss.bin")
    pipe = toys.stable_diffusion()
    add_inversions(pipe, [str(tmp_path / "moss.bin")])
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file(pipe.tokenizer, toys.LENGTH))
    text = Text(tokenizers=[Tokenizer("tokenizer.json", toys.LENGTH)], size=1)
    tokens, ignored = parse("low <moss> wall", text, tmp_path)
    expected = pipe.tokenizer("low <moss> wall", padding="max_length", max_length=toys.LENGTH).input_ids
    assert tokens.tolist() == expected
    assert ignored == ()
    number = pipe.tokenizer.convert_tokens_to_ids("<moss>")
    assert number in tokens
    torch.testing.assert_close(pipe.text_encoder.get_input_embeddings().weight[number], embedding)


def test_a_lora_in_kohyas_layout_is_the_one_in_diffusers(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = Path(toys.save_lora(tmp_path / "one", 1))
    weights = load_file(folder / "pytorch_lora_weights.safetensors")
    kohya = {}
    for name, weight in weights.items():
        place, which = name.removeprefix("unet.").rsplit(".lora_", 1)
        layer = f"lora_unet_{place.replace('.', '_')}"
        kohya[f"{layer}.lora_{'down' if which.startswith('A') else 'up'}.weight"] = weight
        kohya[f"{layer}.alpha"] = torch.tensor(2.0)  # the rank, so that it scales by 1
    save_file(kohya, tmp_path / "kohya.safetensors")
    given, theirs = toys.stable_diffusion(), toys.stable_diffusion()
    fuse_loras(given, [(str(tmp_path / "kohya.safetensors"), 0.8)])
    fuse_loras(theirs, [(str(folder), 0.8)])
    np.testing.assert_allclose(answer(given), answer(theirs), rtol=0, atol=1e-6)
    assert np.abs(answer(given) - answer(toys.stable_diffusion())).max() > 1e-3


def test_a_file_that_is_no_lora_is_refused_by_name(tmp_path):
    with pytest.raises(Refusal, match="nowhere"):
        fuse_loras(toys.stable_diffusion(), [(str(tmp_path / "nowhere"), 1.0)])


@pytest.mark.parametrize(
    ("text", "read"),
    [("a.safetensors:0.8", ("a.safetensors", 0.8)), ("a.bin", ("a.bin", 1.0)), ("C:/a.bin", ("C:/a.bin", 1.0))],
)
def test_a_lora_is_written_as_file_and_strength(text, read):
    assert parse_lora(text) == read


@pytest.mark.parametrize(
    ("strength", "said"), [("0", "0, which adds nothing"), ("nan", "finite"), ("much", "'much' is no")]
)
def test_a_strength_that_adds_nothing_or_is_no_number_is_refused(tmp_path, strength, said):
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(Refusal, match=said):
        parse_lora(f"{tmp_path / 'a.safetensors'}:{strength}")
