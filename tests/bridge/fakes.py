"""A runtime that makes small textures at once or when told, with the interface of runtime.Runtime."""

import hashlib
import json
import threading
from dataclasses import dataclass

import numpy as np

from cadenza.assets.refusal import Refusal, Unknown
from cadenza.assets.texture import Texture

MAPS = {"albedo": 3, "normal": 3, "height": 0, "roughness": 0, "metallic": 0, "occlusion": 0}


@dataclass
class FakeRecipe:
    fields: dict

    @property
    def id(self):
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(eq=False)
class FakeWork:
    id: str
    recipe: FakeRecipe
    on_event: object
    rows: int = 4
    row: int = 0
    position: int = 0
    expected_ms: float = 1.5
    state: str = "waiting"
    result: object = None
    error: object = None

    def end(self):
        """Tells of it, and as the runtime's holds nobody after that."""
        self.on_event(self)
        self.on_event = None


class FakeRuntime:
    """`hold`: requests wait until `release()`. Texture bytes are a function of the recipe. A request that is "slow"
    takes until `compiled` is set to be submitted, as one whose plan is long."""

    def __init__(self, hold=False):
        self.hold, self.works, self.submitted, self.cancelled = hold, [], 0, 0
        self.lock, self.compiled = threading.Lock(), threading.Event()

    def submit(self, request, *, priority=0, deadline_ms=None, late="deliver", on_event):
        if "prompt" not in request:
            raise Refusal("missing", "prompt", "is missing", "say what to make")
        if request.get("sampler", "lcm") != "lcm":
            raise Unknown("sampler", request["sampler"], ["lcm"])
        if request.get("size", 128) not in range(16, 2049):
            raise Refusal("out_of_range", "size", "is out of range", "give 16 to 2048")
        if request.get("explode"):
            raise ZeroDivisionError("the engine's own bug")
        if request.get("slow"):
            assert self.compiled.wait(10)
        self.submitted += 1
        work = FakeWork(f"w{self.submitted}", FakeRecipe(dict(request)), on_event)
        with self.lock:
            self.works.append(work)
        if not self.hold:
            self.release()
        return work

    def release(self):
        with self.lock:
            works, self.works = self.works, []
        for work in works:
            threading.Thread(target=self._make, args=(work,)).start()

    def _make(self, work):
        for row in range(1, work.rows):
            work.state, work.row = "running", row
            work.on_event(work)
        fields = work.recipe.fields
        size = fields.get("size", 128)
        random = np.random.default_rng([fields.get("seed", 0), len(fields["prompt"])])
        shapes = {name: (size, size, channels) if channels else (size, size) for name, channels in MAPS.items()}
        maps = {name: random.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}
        work.result = Texture(
            maps=maps,
            recipe=fields,
            id=work.recipe.id,
            ignored=("shiny",),
            made_by={"backend": "fake"},
            milliseconds={"total": 1.0},
        )
        work.row, work.state = work.rows, "done"
        work.end()

    def cancel(self, work):
        with self.lock:
            if work not in self.works:
                return
            self.works.remove(work)
        self.cancelled += 1
        work.state, work.error = "cancelled", Refusal("cancelled", "request", "was cancelled", "submit it again")
        threading.Thread(target=work.end).start()

    def describe(self):
        return {"bundles": [{"name": "fake", "kind": "texture", "digest": "00", "sizes": np.int64(128)}]}

    def stats(self):
        return {"done": self.submitted}
