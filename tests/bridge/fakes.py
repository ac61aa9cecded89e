"""A runtime that makes small textures at once or when told, with the interface of runtime.Runtime."""

import hashlib
import json
import sys
import threading
import types
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cadenza.assets.refusal import Refusal, Unknown

try:
    from cadenza.assets.texture import Texture
except ModuleNotFoundError:  # stands in until assets.texture is there

    @dataclass(frozen=True)
    class Texture:
        _maps: dict
        recipe: dict
        id: str
        ignored: tuple = ()
        made_by: dict = field(default_factory=dict)
        milliseconds: dict = field(default_factory=dict)

        def __init__(self, maps, **rest):
            self.__dict__.update(rest, _maps=maps)

        def maps(self):
            return self._maps

        def __getattr__(self, name):
            try:
                return self.__dict__["_maps"][name]
            except KeyError:
                raise AttributeError(name) from None

        @cached_property
        def digest(self):
            return hashlib.sha256(b"".join(array.tobytes() for array in self._maps.values())).hexdigest()

    sys.modules["cadenza.assets.texture"] = types.SimpleNamespace(Texture=Texture)


MAPS = {"albedo": 3, "normal": 3, "height": 0, "roughness": 0, "metallic": 0, "occlusion": 0}


@dataclass
class FakeRecipe:
    fields: dict

    @property
    def id(self):
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()


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


class FakeRuntime:
    """`hold`: requests wait until `release()`. Texture bytes are a function of the recipe."""

    def __init__(self, hold=False):
        self.hold, self.works, self.submitted, self.cancelled = hold, [], 0, 0
        self.lock = threading.Lock()

    def submit(self, request, *, priority=0, deadline_ms=None, late="deliver", on_event):
        if "prompt" not in request:
            raise Refusal("missing", "prompt", "is missing", "say what to make")
        if request.get("sampler", "lcm") != "lcm":
            raise Unknown("sampler", request["sampler"], ["lcm"])
        if request.get("explode"):
            raise ZeroDivisionError("the engine's own bug")
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
        work.on_event(work)

    def cancel(self, work):
        with self.lock:
            if work not in self.works:
                return
            self.works.remove(work)
        self.cancelled += 1
        work.state, work.error = "cancelled", Refusal("cancelled", "request", "was cancelled", "submit it again")
        threading.Thread(target=work.on_event, args=(work,)).start()

    def describe(self):
        return {"bundles": [{"name": "fake", "kind": "texture", "digest": "00", "sizes": np.int64(128)}]}

    def stats(self):
        return {"done": self.submitted}
