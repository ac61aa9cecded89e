"""Named inputs of a request: pictures, numbers, masks and images that a bundle's step graphs read beside text."""

import msgspec
import numpy as np
import pytest
import toy_inputs

from cadenza.assets import manifest as manifest_format
from cadenza.assets.inputs import Number
from cadenza.assets.refusal import Refusal
from cadenza.assets.store import Store
from cadenza.runtime.pictures import Shelf, attached, detached, digest_of, digests_in
from cadenza.runtime.resolve import resolve
from cadenza.runtime.runtime import Runtime

RNG = np.random.default_rng(4)
DEPTH = RNG.integers(0, 256, (64, 64, 3), np.uint8)
PICTURE = RNG.integers(0, 256, (64, 64, 3), np.uint8)
ASKED = {"prompt": "stone", "seed": 7, "size": 64, "sampler": "euler", "steps": 3}
STYLE = RNG.standard_normal(toy_inputs.WIDTH).astype(np.float32)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return toy_inputs.write(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    return toy_inputs.write_painter(tmp_path_factory.mktemp("painter"))


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def served(request, reader, painter, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(home))
        with Runtime([reader.folder, painter.folder], request.param, store=Store(home / "store")) as made:
            yield made


def made(runtime, **asked):
    return runtime.submit({"bundle": "reader", **ASKED, **asked}).wait(20)


def refused(bundle, **asked):
    with pytest.raises(Refusal) as error:
        resolve({**ASKED, **asked}, {bundle.digest: bundle})
    return error.value


def test_a_recipe_without_inputs_says_nothing_of_them_so_that_its_id_is_what_it_was(reader):
    recipe = resolve(ASKED, {reader.digest: reader}).recipe
    assert "inputs" not in recipe.to_dict()
    started = resolve({**ASKED, "image": ASKED, "denoise": 0.5}, {reader.digest: reader}).recipe
    assert "inputs" not in started.to_dict()["image"]


def test_an_input_changes_what_is_made_by_its_strength_and_its_recipe_makes_it_again(served):
    plain = made(served)
    without, half, whole = (made(served, inputs={"depth": DEPTH, "depth_strength": s}) for s in (0.0, 0.5, 1.0))
    assert without.maps()["albedo"].tobytes() == plain.maps()["albedo"].tobytes()
    assert len({plain.digest, half.digest, whole.digest}) == 3
    assert whole.recipe["inputs"] == {"depth": digest_of(DEPTH), "depth_strength": 1.0}
    assert made(served, inputs={"depth": DEPTH}).digest == whole.digest, "the strength has a default"
    assert served.submit(whole.recipe).wait(20).digest == whole.digest


def test_grey_and_floats_are_the_same_picture_as_their_colours(served):
    grey = DEPTH[..., 0]
    forms = [grey, grey[..., None], np.repeat(grey[..., None], 3, 2), grey.astype(np.float32) / np.float32(255)]
    assert len({made(served, inputs={"depth": form}).maps()["albedo"].tobytes() for form in forms}) == 1


def test_requests_with_other_inputs_do_not_share_a_call_and_each_is_what_it_is_alone(served):
    asked = [{}, {"inputs": {"depth": DEPTH}}, {"inputs": {"depth": DEPTH[::-1]}}, {"inputs": {"style": STYLE}}]
    asked += [{**each, "seed": 8, "guidance": 3.0} for each in asked]
    alone = [made(served, **each).digest for each in asked]
    works = [served.submit({"bundle": "reader", **ASKED, **each}) for each in asked]
    assert [work.wait(20).digest for work in works] == alone
    assert len(set(alone)) == len(alone)


def test_an_encoded_input_is_a_picture_of_any_size_or_the_numbers_themselves(served, reader):
    picture = RNG.integers(0, 256, (40, 56, 3), np.uint8)
    given = made(served, inputs={"style": picture})
    assert given.digest != made(served).digest
    network = served.networks[reader.digest]
    side = toy_inputs.SIDE
    square = RNG.integers(0, 256, (side, side, 3), np.uint8)
    planes = (square.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    numbers = network.encoded("encode_style", {"image": np.ascontiguousarray(planes)})["embedding"][0]
    shown, told = (made(served, inputs={"style": each}, guidance=2.0) for each in (square, numbers))
    assert shown.maps()["albedo"].tobytes() == told.maps()["albedo"].tobytes()


def test_a_run_starts_from_a_picture(served):
    low, high = (made(served, image=PICTURE, denoise=d) for d in (0.2, 0.8))
    assert low.recipe["image"] == digest_of(PICTURE)
    other = made(served, image=255 - PICTURE, denoise=0.2)
    ours, theirs, far = (
        np.asarray(each.albedo, float) for each in (low, other, made(served, image=255 - PICTURE, denoise=0.8))
    )
    assert np.abs(ours - theirs).mean() > np.abs(np.asarray(high.albedo, float) - far).mean()
    assert served.submit(low.recipe).wait(20).digest == low.digest


def test_a_network_that_is_told_the_mask_gets_it_and_the_image_outside_of_it(served, painter):
    asked = {"bundle": "painter", **ASKED}
    cells = np.zeros((8, 8), np.uint8)
    cells[2:6, 2:6] = 1
    free = served.submit(asked).wait(20)
    whole, part, other = (
        served.submit({**asked, "image": image, "mask": mask}).wait(20)
        for image, mask in ((PICTURE, np.ones((8, 8))), (PICTURE, cells), (255 - PICTURE, cells))
    )
    assert whole.maps()["albedo"].tobytes() == free.maps()["albedo"].tobytes(), "all anew is as without an image"
    assert len({whole.digest, part.digest, other.digest}) == 3
    inside = PICTURE.copy()
    inside[16:48, 16:48] = 9
    again = served.submit({**asked, "image": inside, "mask": cells}).wait(20)
    assert again.maps()["albedo"].tobytes() == part.maps()["albedo"].tobytes(), "what is anew is not looked at"
    recipe = served.submit({**asked, "image": {"prompt": "moss", "steps": 2}, "mask": cells}).wait(20)
    assert recipe.digest not in (part.digest, other.digest)


@pytest.mark.parametrize(
    ("inputs", "field", "message"),
    [
        ({"depht": DEPTH}, "inputs.depht", "'depht' is not known"),
        ({"depth": DEPTH, "style": STYLE}, "inputs", "no graph of 'reader' reads depth and style together"),
        ({"depth_strength": 0.5}, "inputs.depth", "is missing"),
        ({"depth": DEPTH, "depth_strength": 3.0}, "inputs.depth_strength", "0 to 2"),
        ({"depth": DEPTH, "depth_strength": "much"}, "inputs.depth_strength", "number"),
        ({"depth": DEPTH[:32]}, "inputs.depth", r"\(64, 64, 3\), or \(64, 64\) for grey"),
        ({"depth": DEPTH[..., :2]}, "inputs.depth", "shape"),
        ({"depth": DEPTH.astype(np.int64)}, "inputs.depth", "uint8"),
        ({"depth": DEPTH.astype(np.float32)}, "inputs.depth", "0 to 1"),
        ({"depth": np.full((64, 64), np.nan, np.float32)}, "inputs.depth", "not finite"),
        ({"depth": "0" * 64}, "inputs.depth", "is not here any more"),
        ({"depth": "depth.png"}, "inputs.depth", "an array of uint8 or float32"),
        ({"depth": 5}, "inputs.depth", "an array of uint8 or float32"),
        ({"depth": np.zeros((2048, 2048), np.float32)}, "inputs.depth", "at most 4194304"),
        ({"style": STYLE[:3]}, "inputs.style", r"or float32 numbers \(6,\)"),
        (["depth"], "inputs", "a mapping"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(reader, inputs, field, message):
    error = refused(reader, inputs=inputs)
    assert error.field == field
    with pytest.raises(Refusal, match=message):
        raise error


def test_a_bundle_without_inputs_or_an_encoder_says_so(bundle):
    assert "no graph of 'toy' reads more than text" in refused(bundle, inputs={"depth": DEPTH}).sentence
    assert "no encoder" in refused(bundle, image=PICTURE, denoise=0.5).sentence


def test_a_picture_of_another_size_or_type_is_no_image(reader):
    assert refused(reader, image=PICTURE[:32], denoise=0.5).field == "image"
    assert "array of uint8 or float32" in refused(reader, image=b"\x89PNG", denoise=0.5).sentence
    assert "no effect" in refused(reader, image=PICTURE).sentence


def test_arrays_leave_a_request_for_their_digests_and_come_back():
    request = {"inputs": {"depth": DEPTH, "depth_strength": 0.5}, "image": {"image": PICTURE, "denoise": 0.5}}
    told, arrays = detached(request)
    assert told["inputs"] == {"depth": digest_of(DEPTH), "depth_strength": 0.5}
    assert set(arrays) == set(digests_in(told)) == {digest_of(DEPTH), digest_of(PICTURE)}
    back = attached(told, arrays)
    np.testing.assert_array_equal(back["inputs"]["depth"], DEPTH)
    np.testing.assert_array_equal(back["image"]["image"], PICTURE)
    assert digest_of(DEPTH) != digest_of(DEPTH.reshape(64, 192)), "the shape belongs to the digest"


def test_a_shelf_forgets_what_was_not_asked_for_longest_and_finds_it_on_disk(tmp_path):
    pictures = [np.full((8, 8), n, np.uint8) for n in range(4)]
    short, kept = Shelf(limit=128), Shelf(tmp_path, limit=128)
    digests = [shelf.keep(p) for p in pictures for shelf in (short, kept)][::2]
    assert short.find(digests[0]) is None
    with pytest.raises(Refusal, match="is not here any more"):
        short.get(digests[0])
    np.testing.assert_array_equal(kept.get(digests[0]), pictures[0])
    (tmp_path / f"{digests[1]}.npy").write_bytes((tmp_path / f"{digests[2]}.npy").read_bytes())
    with pytest.raises(Refusal, match="another digest than its name"):
        Shelf(tmp_path).get(digests[1])


def test_a_picture_that_changes_after_it_was_given_changes_nothing(reader):
    shelf, mine = Shelf(), DEPTH.copy()
    resolved = resolve({**ASKED, "inputs": {"depth": mine}}, {reader.digest: reader}, shelf=shelf)
    mine[:] = 0
    np.testing.assert_array_equal(resolved.arrays[digest_of(DEPTH)], DEPTH)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reads": {"step_style": ["style", "style_strength"]}}, "is read by no graph"),
        ({"reads": {**toy_inputs.READS, "step": ["depth", "depth_strength"]}}, "two graphs read the same"),
        ({"reads": {**toy_inputs.READS, "step_canny": ["depth"]}}, "is not among the graphs"),
        (
            {"reads": {**toy_inputs.READS, "step_depth": ["depth", "depth_strength", "x"]}},
            "'x' is not among the inputs",
        ),
        ({"inputs": {**toy_inputs.INPUTS, "depth_strength": Number(3.0, 0.0, 2.0)}}, "default within the range"),
    ],
)
def test_a_manifest_whose_inputs_do_not_fit_its_graphs_is_refused(reader, changes, message):
    with pytest.raises(Refusal, match=message):
        manifest_format.check(msgspec.structs.replace(reader.manifest, **changes))
