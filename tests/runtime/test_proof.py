"""The proof that bits do not depend on company or threads finds what does, once a machine, and the engine acts on it."""

import numpy as np
import pytest
import toy

from cadenza.runtime import bundles
from cadenza.runtime.engine.backends.base import Identity
from cadenza.runtime.engine.proof import BATCH, Proof, prove


class Spoilt:
    """A step and decoder whose last bits depend on what is asked: "threads", "batch" or "slot"."""

    runs = 0

    def __init__(self, threads, fault, shape=None):
        self.threads, self.fault, self.shape = threads, fault, shape
        self.identity = Identity("spoilt", "1", "none", "float32")

    def run(self, inputs):
        Spoilt.runs += 1
        latent = inputs["latent"]
        answer = latent.copy()
        here = self.shape in (None, latent.shape[2:])
        if self.fault == "threads" and self.threads > 1 and here:
            answer = np.nextafter(answer, np.float32(9))
        if self.fault == "batch" and len(latent) < BATCH and here:
            answer = np.nextafter(answer, np.float32(9))
        if self.fault == "slot" and here:
            answer[0] = np.nextafter(answer[0], np.float32(9))
        return {"raw": answer, "maps": answer}


def proved(cache, fault, threads=2, **terms):
    graphs = (Spoilt(threads, fault, **terms), Spoilt(threads, None))
    single = (Spoilt(1, fault, **terms), Spoilt(1, None))
    return prove(toy.write(cache / "bundle"), graphs, threads, lambda: single, cache / (fault or "none"))


@pytest.mark.parametrize(
    ("fault", "proof"),
    [
        (None, Proof(None)),
        ("threads", Proof(None, any_threads=False)),
        ("batch", Proof(BATCH)),
        ("slot", Proof(1)),
    ],
)
def test_what_bits_depend_on_is_found_and_not_looked_for_again(tmp_path, fault, proof):
    assert proved(tmp_path, fault) == proof
    before = Spoilt.runs
    assert proved(tmp_path, fault) == proof
    assert Spoilt.runs == before
    proved(tmp_path, fault, threads=3)  # another thread count is another proof
    assert Spoilt.runs > before


def test_a_fault_at_one_size_only_is_found(tmp_path):
    assert not proved(tmp_path, "threads", shape=(8, 16)).any_threads


def test_graphs_whose_bits_depend_on_threads_are_held_to_one_and_say_so(bundle, tmp_path, monkeypatch):
    loaded = []

    def load(path, threads):
        loaded.append(threads)
        return Spoilt(threads, "threads")

    monkeypatch.setattr(bundles, "open_backend", lambda name: load)
    network = bundles.open_network(bundle, "spoilt", 4, tmp_path)
    assert network.step.threads == network.decode.threads == 1
    assert network.proof.strategy == "any batch, on one thread"
    assert bundles.open_network(bundle, "spoilt", 1, tmp_path).proof.strategy == "any batch"
