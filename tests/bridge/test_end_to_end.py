"""The real runtime behind the real server: the same bytes as in process, as pixels and as files."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.assets.refusal import Refusal
from cadenza.bridge import connect
from cadenza.bridge.inproc import InprocGame
from cadenza.runtime.runtime import Runtime


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        folder = tmp_path_factory.mktemp("toy")
        with Runtime([toy.write(folder).folder], "onnxruntime") as made:
            yield made


def test_the_socket_gives_the_same_bytes_as_the_process_in_any_company(real, serving):
    requests = [{"prompt": "mossy stone", "seed": seed, "size": 64 + 64 * (seed % 2)} for seed in range(24)]
    with serving(real) as address, InprocGame(real, owned=False) as near:
        alone = [near.submit(request).result(20).digest for request in requests]
        with connect(address) as first, connect(address) as second:
            tickets = [(first, second)[number % 2].submit(request) for number, request in enumerate(requests)]
            assert [ticket.result(20).digest for ticket in tickets] == alone
            texture = first.texture("mossy stone", seed=0, size=64)
            assert first.replay(texture.recipe).digest == second.replay(texture).digest == alone[0]


def test_a_recipe_is_told_alike_in_process_over_the_socket_and_in_a_file(real, serving):
    asked = {"prompt": "stone", "size": 64, "guidance": (1.0, 2.0), "steps": 2}
    with serving(real) as address, connect(address) as far, InprocGame(real, owned=False) as near:
        told = near.submit(asked).result(20)
        assert told.recipe == far.submit(asked).result(20).recipe == json.loads(json.dumps(told.record))["recipe"]


def test_files_hold_the_pixels(real, serving):
    asked = {"prompt": "stone", "seed": 3, "size": 64}
    with serving(real) as address, connect(address) as game:
        texture = game.submit(asked).result(20)
        assert set(game.welcome.encodings) == {"raw", "png", "dds", "ktx2"}
        for encoding in ("png", "dds", "ktx2"):
            files = game.submit(asked, encoding=encoding).result(20)
            assert files.digest == texture.digest
            assert set(files.files) == set(texture.maps())
            if encoding == "png":
                assert np.array_equal(np.asarray(Image.open(io.BytesIO(files.files["albedo"]))), texture.albedo)


def test_a_request_chooses_its_maps_and_the_digest_stays_that_of_all(real, serving):
    asked = {"prompt": "stone", "seed": 3, "size": 64}
    chosen = ["orm", "normal_directx", "albedo"]
    with serving(real) as address, connect(address) as game, InprocGame(real, owned=False) as near:
        whole = game.submit(asked).result(20)
        for one in (game, near):
            some = one.submit(asked, maps=chosen).result(20)
            assert list(some.maps()) == chosen
            assert some.digest == whole.digest
            for name in chosen:
                np.testing.assert_array_equal(some.map(name), whole.map(name))
            np.testing.assert_array_equal(some.packed("orm"), whole.packed("orm"))
            np.testing.assert_array_equal(some.normal_directx, whole.normal_directx)
            assert list(one.submit(asked, maps=chosen, encoding="ktx2").result(20).files) == chosen
            with pytest.raises(Refusal) as refused:
                one.submit(asked, maps=["glow"]).result(20)
            assert refused.value.field == "maps"


def test_bad_requests_name_the_field_and_the_server_goes_on(real, serving):
    wrong = {
        "sampler": {"sampler": "eulerr"},
        "size": {"size": 65},
        "seed": {"seed": -1},
        "guidance": {"guidance": float("nan")},
        "steps": {"steps": "four"},
        "prompt": {"prompt": "xyzzy"},
        "kind": {"kind": "novel"},
        "colour": {"colour": "red"},
    }
    with serving(real) as address, connect(address) as game:
        for field, dial in wrong.items():
            with pytest.raises(Refusal) as refused:
                game.submit({"prompt": "stone", "size": 64, **dial}).result(20)
            assert refused.value.field == field, str(refused.value)
            assert refused.value.code != "internal", str(refused.value)
        for terms, field in (
            ({"priority": 1000}, "priority"),
            ({"deadline_ms": -1.0}, "deadline_ms"),
            ({"late": "x"}, "late"),
        ):
            with pytest.raises(Refusal) as refused:
                game.submit({"prompt": "stone", "size": 64}, **terms).result(20)
            assert refused.value.field == field
        slow = game.submit({"prompt": "sand", "seed": 3, "size": 256, "steps": 900, "sampler": "euler"})
        slow.cancel()
        with pytest.raises(Refusal, match="cancelled"):
            slow.result(20)
        assert game.texture("stone", size=64).id
        assert game.describe()["bundles"][0]["kind"] == "texture"
        assert game.stats()["done"] > 0


def test_a_mask_of_any_shape_crosses_the_socket_and_a_picture_that_nothing_encodes_is_refused(real, serving):
    asked = {"prompt": "stone", "size": 64, "steps": 2, "image": {"prompt": "moss", "steps": 2}}
    pixels = np.zeros((64, 64), bool)
    pixels[8:40, 16:24] = True
    with serving(real) as address, connect(address) as game, InprocGame(real, owned=False) as near:
        made = game.submit({**asked, "mask": pixels}).result(20)
        assert made.digest == near.submit({**asked, "mask": pixels}).result(20).digest
        assert made.digest == game.submit({**asked, "mask": pixels[::8, ::8].astype(int).tolist()}).result(20).digest
        assert game.replay(made).digest == made.digest
        for each in (game, near):
            with pytest.raises(Refusal, match="is a picture"):
                each.submit({**asked, "image": pixels.astype(np.uint8), "denoise": 0.5}).result(20)
