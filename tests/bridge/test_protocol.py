"""The wire without sockets: byte vectors, the page that quotes them, and any bytes at all."""

import json
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadenza import bridge
from cadenza.assets.refusal import Refusal
from cadenza.bridge import messages as m
from cadenza.bridge.protocol import CLIENT_TYPES, SERVER_TYPES, decode_client, decode_server, encode, peek

FOLDER = Path(bridge.__file__).parent
VECTORS = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))["vectors"]
PAGE = (FOLDER / "PROTOCOL.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_reads_and_writes_to_the_byte(vector):
    data = bytes.fromhex(vector["hex"])
    behind = [bytes(part["bytes"]) for part in vector["header"].get("payload", [])]
    message = decode_client([data, *behind]) if vector["to"] == "server" else decode_server(data)
    assert encode(message) == data
    assert msgspec.msgpack.decode(data) == vector["header"]
    assert vector["hex"] in PAGE.replace("\n", "").replace(" ", "")


def test_the_vectors_and_the_page_have_every_message_type():
    assert {vector["header"]["type"] for vector in VECTORS} == {*CLIENT_TYPES, *SERVER_TYPES}
    for kind in (*CLIENT_TYPES, *SERVER_TYPES):
        assert f"### {kind}\n" in PAGE


def test_the_page_names_every_field_of_every_message():
    for union in (m.FromClient, m.FromServer):
        for kind in union.__args__:
            section = PAGE.split(f"### {kind.__name__.lower()}\n")[1].split("###")[0]
            for name in kind.__struct_fields__:
                assert f"`{name}`" in section, (kind, name)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=20,
)
headers = st.fixed_dictionaries(
    {"type": st.sampled_from([*CLIENT_TYPES, *SERVER_TYPES, "dance"])},
    optional=dict.fromkeys(("request", "recipe", "version", "client", "priority", "encoding", "payload"), values),
)
anything = st.binary(max_size=200) | values.map(msgspec.msgpack.encode) | headers.map(msgspec.msgpack.encode)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(anything, max_size=3))
def test_any_bytes_are_a_message_or_a_refusal(frames):
    try:
        message = decode_client(frames)
    except Refusal:
        peek(frames)
    else:
        assert type(message).__name__.lower() in CLIENT_TYPES


@settings(max_examples=200, deadline=None, derandomize=True)
@given(anything)
def test_any_bytes_from_a_server_are_a_message_or_a_refusal(header):
    with suppress(Refusal):
        assert type(decode_server(header)).__name__.lower() in SERVER_TYPES


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(VECTORS), st.data())
def test_every_truncation_of_every_vector_is_refused(vector, data):
    whole = bytes.fromhex(vector["hex"])
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(Refusal):
        decode_client([cut])


def test_a_wrong_field_is_named_by_its_path():
    with pytest.raises(Refusal, match="Expected `int`") as refused:
        decode_client([msgspec.msgpack.encode({"type": "submit", "request": "a", "recipe": {}, "priority": "high"})])
    assert refused.value.field == "priority"
    with pytest.raises(Refusal) as refused:
        decode_client([msgspec.msgpack.encode({"type": "sumbit"})])
    assert "did you mean 'submit'" in refused.value.remedy


@pytest.mark.parametrize(
    ("header", "code", "field"),
    [
        ([1], "corrupt", "header"),
        (None, "corrupt", "header"),
        ({}, "missing", "type"),
        ({1: 2}, "type", "header"),
        ({"type": "ping"}, "missing", "request"),
        ({"type": "ping", "request": None}, "type", "request"),
        ({"type": "ping", "request": "a" * 65}, "out_of_range", "request"),
        ({"type": "hello", "version": [1, -2], "client": "a" * 8}, "out_of_range", "version[1]"),
        ({"type": "hello", "version": [1], "client": "a" * 8}, "type", "version"),
        ({"type": "submit", "request": "a"}, "missing", "recipe"),
        ({"type": "submit", "request": "a", "recipe": {1: 2}}, "type", "recipe"),
        ({"type": "submit", "request": "a", "recipe": {}, "maps": ["a"] * 65}, "out_of_range", "maps"),
        ({"type": "submit", "request": "a", "recipe": {}, "payload": [{}]}, "missing", "payload[0].name"),
        ({"type": "taken", "request": "a"}, "missing", "bar"),
        ({"type": "taken", "request": "a", "bar": -1}, "out_of_range", "bar"),
        ({"type": "taken", "request": "a", "bar": 2.0}, "type", "bar"),
        ({"type": "close", "request": "a", "bars": 2**53}, "out_of_range", "bars"),
    ],
)
def test_what_a_header_lacks_or_has_wrong_is_told_by_its_own_code_and_field(header, code, field):
    with pytest.raises(Refusal) as refused:
        decode_client([msgspec.msgpack.encode(header)])
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_float_may_be_written_as_an_integer_and_not_the_other_way_round():
    header = {"type": "submit", "request": "a", "recipe": {}, "priority": 2, "deadline_ms": 200}
    message = decode_client([msgspec.msgpack.encode(header)])
    assert (message.priority, message.deadline_ms) == (2, 200.0)
    with pytest.raises(Refusal, match="priority"):
        decode_client([msgspec.msgpack.encode({**header, "priority": 2.0})])
