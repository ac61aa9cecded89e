"""Arrays behind a submit: pictures that a game brings along, over a socket."""

import asyncio
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy_inputs

from cadenza.assets.refusal import Refusal
from cadenza.bridge import aio, connect
from cadenza.bridge import messages as m
from cadenza.bridge.conversation import Conversation
from cadenza.bridge.payload import pack_arrays, unpack_arrays
from cadenza.bridge.protocol import VERSION, decode_client, encode
from cadenza.runtime.masks import digits_of
from cadenza.runtime.pictures import detached, digest_of
from cadenza.runtime.runtime import Runtime

DEPTH = np.random.default_rng(3).integers(0, 256, (64, 64), np.uint8)
ASKED = {"prompt": "stone", "size": 64, "steps": 2}
SHOWN = {**ASKED, "inputs": {"depth": DEPTH, "depth_strength": 0.5}}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        folder = toy_inputs.write(tmp_path_factory.mktemp("reader")).folder
        with Runtime([folder], "onnxruntime") as made:
            yield made


def test_a_picture_crosses_the_socket_and_its_recipe_makes_the_same_again(reader, serving):
    direct = reader.submit(SHOWN).wait(20)
    with serving(reader) as address:
        with connect(address) as game:
            made = game.submit(SHOWN).result(20)
            assert made.digest == direct.digest
            assert made.recipe["inputs"] == {"depth": digest_of(DEPTH), "depth_strength": 0.5}
            started = game.submit({**ASKED, "image": DEPTH, "denoise": 0.5}).result(20)
            again = game.submit({**ASKED, "image": {**ASKED, "image": DEPTH, "denoise": 0.5}, "denoise": 0.4}).result(
                20
            )
            assert game.replay(started).digest == started.digest
            assert game.replay(again).digest == again.digest

        async def asynchronous():
            async with await aio.connect(address) as game:
                return await (await game.submit(SHOWN))

        assert asyncio.run(asynchronous()).digest == direct.digest


def test_a_replay_by_a_server_that_never_saw_the_picture_brings_it_along(reader, serving):
    with serving(reader) as address, connect(address) as game:
        made = game.submit(SHOWN).result(20)
        folder = next(iter(reader.bundles.values())).folder
        with Runtime([folder], "onnxruntime") as other, serving(other) as second, connect(second) as elsewhere:
            with pytest.raises(Refusal, match="send the array itself"):
                elsewhere.submit(made.recipe).result(20)
            assert elsewhere.submit({**made.recipe, "inputs": SHOWN["inputs"]}).result(20).digest == made.digest
            assert elsewhere.replay(made).digest == made.digest


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"depth": DEPTH[:32]}, r"\(64, 64, 3\), or \(64, 64\) for grey"),
        ({"depth": DEPTH > 9}, "uint8"),
        ({"depth_strength": 0.5}, "is missing"),
        ({"depth": np.zeros((3000, 3000), np.uint8)}, "at most 4194304"),
    ],
)
def test_what_does_not_fit_is_refused_in_words_and_the_connection_goes_on(reader, serving, inputs, message):
    with serving(reader) as address, connect(address) as game:
        with pytest.raises(Refusal, match=message):
            game.submit({**ASKED, "inputs": inputs}).result(20)
        assert game.submit(ASKED).result(20).id


def test_after_a_reconnect_a_request_is_sent_with_its_pictures():
    talk = Conversation()
    welcome = m.Welcome(version=VERSION, server="x", limits=m.Limits(), encodings=["raw"], bundles=[])
    talk.receive([encode(welcome)])
    talk.outgoing.clear()
    talk.submit(SHOWN)
    (first,) = talk.outgoing
    talk.outgoing.clear()
    talk.receive([encode(welcome)])
    assert talk.outgoing == [first]
    message = decode_client(first)
    arrays = unpack_arrays(message.payload, first[1:])
    np.testing.assert_array_equal(arrays[message.recipe["inputs"]["depth"]], DEPTH)


def test_an_older_server_that_takes_no_pictures_is_not_sent_any():
    talk = Conversation()
    limits = m.Limits(frames=1)
    talk.receive([encode(m.Welcome(version=(1, 1), server="x", limits=limits, encodings=["raw"], bundles=[]))])
    with pytest.raises(Refusal, match="1 arrays, the server takes 0"):
        talk.submit(SHOWN)
    assert talk.submit(ASKED).message.recipe == ASKED


def submitted(**changes):
    parts, frames = pack_arrays({digest_of(DEPTH): DEPTH})
    part = msgspec.structs.replace(parts[0], **changes)
    recipe = {**ASKED, "inputs": {"depth": digest_of(DEPTH)}}
    return encode(m.Submit(request="r1", recipe=recipe, payload=[part])), bytes(frames[0])


def answer(address, *frames):
    """What the server says to a message after hello."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    try:
        dealer.connect(address)
        dealer.send(encode(m.Hello(version=VERSION, client="pictures-raw")))
        dealer.send_multipart(frames)
        for _ in range(2):
            assert dealer.poll(5000)
            told = msgspec.msgpack.decode(dealer.recv_multipart()[0])
        return told
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize(
    ("changes", "frames", "code", "sentence"),
    [
        ({}, 0, "corrupt", "1 frames of payload were announced, 0 came"),
        ({}, 2, "corrupt", "1 frames of payload were announced, 2 came"),
        ({}, 12, "corrupt", "1 to 9 frames"),
        ({"bytes": 7}, 1, "corrupt", "7 bytes were announced, 4096 came"),
        ({"bytes": 2**40}, 1, "too_large", "exceeds the limit of 4194304"),
        ({"encoding": "png"}, 1, "unknown", "'png' is not known"),
        ({"name": "0" * 64}, 1, "corrupt", "an array has the digest"),
        ({"shape": (64, 32)}, 1, "corrupt", "is no array of uint8 or float32"),
        ({"dtype": "object"}, 1, "corrupt", "is no array of uint8 or float32"),
        ({"shape": (1,) * 80 + (4096,)}, 1, "corrupt", "is no array of uint8 or float32"),
        ({"shape": (4096,)}, 1, "corrupt", "an array has the digest"),
    ],
)
def test_payload_that_is_not_as_announced_is_refused(reader, serving, changes, frames, code, sentence):
    header, frame = submitted(**changes)
    with serving(reader) as address:
        told = answer(address, header, *[frame] * frames)
        assert (told["type"], told["code"]) == ("failed", code), told
        assert sentence in told["sentence"]
        with connect(address) as game:
            assert game.submit(ASKED).result(20).id


def test_arrays_of_unfinished_requests_have_a_limit_together(held, serving):
    with serving(held, limits=m.Limits(arrays_bytes=10000)) as address, connect(address) as game:
        first, second, third = (game.submit({**SHOWN, "seed": seed}) for seed in range(3))
        with pytest.raises(Refusal, match="8192 bytes of arrays are waiting") as refused:
            third.result(5)
        assert refused.value.code == "busy"
        first.cancel()
        second.cancel()


def test_a_mask_that_is_an_array_is_sent_without_an_image_too():
    """As a bundle that paints takes it."""
    mask = np.zeros((64, 64), np.uint8)
    mask[:8] = 1
    pending = Conversation().submit({"kind": "texture", "prompt": "stone", "size": 64, "mask": mask})
    assert pending.message.recipe["mask"] == digits_of(mask)


@pytest.mark.parametrize("side", [64, np.int64(64), np.uint16(64)])
def test_a_mask_by_pixels_is_short_whatever_number_its_size_is(side):
    mask = np.ones((64, 64), np.bool_)
    told, _ = detached({"prompt": "stone", "size": side, "mask": mask})
    assert told["mask"] == digits_of(mask)
