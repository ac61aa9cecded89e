"""A bundle.json that somebody wrote by hand, or wrong: it is refused in words when it is loaded, never later and never by an exception."""

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.assets.bundle import load_bundle
from cadenza.assets.refusal import Refusal

WORDS = {"type": "words", "materials": 1, "synonyms": {}}
LATENT = {"channels": 4, "factor": 8, "minimum": 64, "maximum": 512, "multiple": 16}
CHANGES = {
    "a kind that is a list": ({"kind": []}, "kind"),
    "a kind that is a map": ({"kind": {}}, "kind"),
    "no kind": ({"kind": None}, "kind"),
    "sizes in multiples of nothing": ({"latent": LATENT | {"multiple": 0}}, "latent"),
    "sizes in multiples of less": ({"latent": LATENT | {"multiple": -16}}, "latent"),
    "cells of nothing": ({"latent": LATENT | {"factor": 0}}, "latent"),
    "a latent of nothing": ({"latent": LATENT | {"channels": 0}}, "latent"),
    "a word twice": ({"conditioning": WORDS | {"words": ["stone", "moss", "stone"]}}, "'stone' more than once"),
}
WHOLE = {
    "lists that never end": b"[" * 200_000,
    "lists in lists": b"[" * 100_000 + b"]" * 100_000,
    "lists in a field": b'{"format":1,"kind":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a list": b"[1]",
    "another encoding": '{"format": 1}'.encode("utf-16"),
}
NAMES = {
    "longer than a disk takes": "a" * 5000,
    "longer in bytes than in letters": "\u00e4" * 200,
    "on a drive": "C:/x",
    "on a drive's own folder": "C:x",
    "a stream of a file": "step.onnx:x",
    "on another machine": "//machine/x",
    "with the other slash": "..\\x",
    "from the root": "/x",
    "a way out in the middle": "a/../../x",
    "nothing": "",
    "the end of text": "a\0b",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    toy.write(folder)
    return folder, msgspec.json.decode((folder / "bundle.json").read_bytes())


def refused(written, data):
    folder, _ = written
    (folder / "bundle.json").write_bytes(data)
    with pytest.raises(Refusal) as refusal:
        load_bundle(folder)
    return refusal.value


@pytest.mark.parametrize("change", CHANGES)
def test_a_manifest_that_no_request_could_be_made_by_is_refused_at_once(written, change):
    fields, said = CHANGES[change]
    assert said in str(refused(written, msgspec.json.encode({**written[1], **fields})))


@pytest.mark.parametrize("data", WHOLE)
def test_a_file_that_is_no_manifest_is_refused_however_deep_it_is(written, data):
    assert refused(written, WHOLE[data]).code == "corrupt"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_cannot_be_in_the_bundle_is_refused_by_a_name_that_can_be_read(written, name):
    files = {NAMES[name]: "0" * 64, **written[1]["files"]}
    refusal = refused(written, msgspec.json.encode({**written[1], "files": files}))
    assert refusal.code == "corrupt"
    assert refusal.field == f"files.{NAMES[name]:.60}"
    assert len(str(refusal)) < 300


@pytest.mark.parametrize("name", ["C:/x", "C:x", "step.onnx:x"])
def test_a_name_that_means_a_drive_is_a_way_out_even_where_such_a_file_is_there(written, name):
    folder, fields = written
    inside = folder / name
    if sys.platform != "win32":
        inside.parent.mkdir(exist_ok=True)
        inside.write_bytes(b"")
    refusal = refused(written, msgspec.json.encode({**fields, "files": {name: "0" * 64, **fields["files"]}}))
    assert "outside" in str(refusal)


def test_the_bundle_that_was_changed_is_one_itself(written):
    folder, fields = written
    (folder / "bundle.json").write_bytes(msgspec.json.encode(fields))
    assert load_bundle(folder).manifest.name == "toy"
