"""The README's live stream, as it stands there, against a server with the embedded music."""

import re
import threading
from pathlib import Path

import cadenza
from cadenza.bridge.server import serve
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.runtime import Runtime

PAGE = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readmes_stream_plays_is_steered_and_replays_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "game.stream(" in code]
    bound, ready, stop = [], threading.Event(), threading.Event()

    def announce(at):
        bound.append(at)
        ready.set()

    connect = cadenza.connect
    monkeypatch.setattr(cadenza, "connect", lambda: connect(bound[0]))
    with Runtime([EMBEDDED / "music"], "onnxruntime", threads=1) as runtime:
        terms = dict(ready=announce, stop=stop)
        thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=terms)
        thread.start()
        try:
            assert ready.wait(10)
            exec(code, {})
        finally:
            stop.set()
            thread.join()
    heard = capsys.readouterr().out.splitlines()
    assert len(heard) == 10  # nine bars and the tail
    assert heard[0] == "2.50 s"
