"""Where a server listens, who may come, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import zmq

from cadenza.assets.refusal import Refusal
from cadenza.bridge import connect
from cadenza.bridge.server import check_bind, serve


def test_only_this_machine_unless_allowed(runtime):
    for bind in ("tcp://*:5557", "tcp://0.0.0.0:1", "tcp://192.168.1.2:1", "tcp://127.evil.com:1", "tcp://[::]:1"):
        with pytest.raises(Refusal, match="insecure-public"):
            serve(runtime, bind)
        check_bind(bind, allowed=True)
    for bind in ("tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1", "ipc:///tmp/x"):
        check_bind(bind, allowed=False)
    for bind in ("nonsense", "tcp://", "http://127.0.0.1:1"):
        with pytest.raises(Refusal, match="no address"):
            serve(runtime, bind)


def test_an_address_in_use_is_one_sentence(address, runtime):
    with pytest.raises(Refusal, match="cannot be bound"):
        serve(runtime, address)


@pytest.mark.skipif(sys.platform == "win32", reason="no sockets of files")
def test_a_path_in_use_is_one_sentence_and_one_that_was_left_behind_is_taken(runtime, serving, tmp_path):
    bind = f"ipc://{tmp_path}/s"
    with serving(runtime, bind) as address, connect(address) as game:
        with pytest.raises(Refusal, match="in use") as refused:
            serve(runtime, bind)
        assert refused.value.field == "bind"
        assert game.texture("stone", size=64).id
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(f"{tmp_path}/left")
    with serving(runtime, f"ipc://{tmp_path}/left") as address, connect(address) as game:
        assert game.texture("stone", size=64).id


def test_keys_protect_a_server(runtime, serving):
    public, secret = zmq.curve_keypair()
    with serving(runtime, keys=(public, secret)) as address:
        with connect(address, keys=(public, *zmq.curve_keypair())) as game:
            assert game.texture("stone", size=64).id
        with pytest.raises(Refusal, match="nobody answered"):
            connect(address, timeout=0.3)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from fakes import FakeRuntime
from cadenza.bridge.server import serve
serve(FakeRuntime(hold=True), "tcp://127.0.0.1:*", ready=lambda address: print(address, flush=True))
print("ended", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_within_two_seconds(number):
    here = os.path.dirname(__file__)
    with subprocess.Popen([sys.executable, "-c", SCRIPT, here], stdout=subprocess.PIPE, encoding="utf-8") as server:
        with connect(server.stdout.readline().strip()) as game:
            game.submit({"prompt": "stone"})
            game.stats()
            began = time.monotonic()
            server.send_signal(number)
            assert server.wait(5) == 0
            assert time.monotonic() - began < 2
        assert server.stdout.read() == "ended\n"
