"""A bundle served and asked over a socket in a process in which torch and all that exports cannot be imported."""

import json
import os
import subprocess
import sys

SCRIPT = """
import sys
sys.modules.update(dict.fromkeys(("torch", "diffusers", "transformers", "onnx", "onnxscript", "cadenza.exporters")))
import json, threading
from pathlib import Path
from cadenza.bridge import connect
from cadenza.bridge.server import serve
from cadenza.runtime.runtime import Runtime

bundle, request = Path(sys.argv[1]), json.loads(sys.argv[2])
bound, ready, stop = [], threading.Event(), threading.Event()
with Runtime([bundle], backend=sys.argv[3], threads=1) as runtime:
    told = dict(ready=lambda address: (bound.append(address), ready.set()), stop=stop)
    thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=told)
    thread.start()
    assert ready.wait(20)
    with connect(bound[0]) as game:
        made = game.submit(request).result(120)
        again = game.replay(made.recipe)
    stop.set()
    thread.join(10)
parts = {name: list(array.shape) for name, array in made.maps().items()}
told = {"kind": made.recipe["kind"], "digest": made.digest, "again": again.digest, "parts": parts}
print(json.dumps({**told, "rate": getattr(made, "rate", None), "frames": getattr(getattr(made, "sheet", None), "frames", 1)}))
"""


def served(folder, home, backend="onnxruntime", **request):
    """What came of a request: kind, digest, that of the replay, and the shape of each part."""
    asked = {"prompt": "low wall", "seed": 1, **request}
    command = [sys.executable, "-c", SCRIPT, str(folder), json.dumps(asked), backend]
    where = {**os.environ, "CADENZA_HOME": str(home)}
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=where)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
