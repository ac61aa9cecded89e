"""Writes SAMPLERS.md, the table of all samplers: `python -m cadenza.runtime.solver.page`."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np

from . import samplers
from .analytic import LOPSIDED, exact_model
from .catalogue import describe_samplers
from .compile import compile_plan
from .measure import measured_order
from .process import Process
from .samplers import LIVE
from .samplers.dials import parameters

PAGE = Path(__file__).with_name("SAMPLERS.md")
CITATION = re.compile(r'([A-Z][^".:;()]*?|[A-Z][\w-]+ et al\.), "([^"]{5,140})"[^"]{0,40}?(https://[^\s",;]+)')
URL = re.compile(r'https://[^\s",;]+')
PROCESSES = {
    "vp": (Process.vp(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)), "epsilon"),
    "ve": (Process.ve(), "x0"),
    "flow": (Process.flow(), "flow"),
    "trig": (Process.trig(), "v"),
}
HEAD = """# Samplers

Written by `python -m cadenza.runtime.solver.page` from the registry and from measurements; a test holds it current.

Each runs on variance-preserving, variance-exploding, flow and TrigFlow processes, with every prediction type and spacing, from
pure noise too: the tests hold each on all four to its function, and the stochastic ones to the variance of the data.

- **order**: of convergence at eta 0 to the last level, as claimed and as measured (VP / flow, between 24 and 48 steps on a
  lopsided mixture). A multistep run starts with a first-order step, which bounds the order of the whole run by 2 whatever the
  order of its later steps, unless a corrector mends it.
- **NFE**: model evaluations a step, of a 12-step plan that ends clean, without guidance (CFG++ needs the unconditional model).
- **slots**: latents in memory. **noise**: whether it draws any with its default dials.
- **works on**: processes on which 48 steps from the noisiest level gave data of about the right mean and deviation.
- `corrector="unic"` raises the order of every deterministic one by one at the same NFE; UniPC and SA-Solver have theirs inside.

| name | also known as | order | measured | NFE | noise | slots | works on | dials | source |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    sources = _citations()
    rows = []
    for row in describe_samplers():
        order = f"{row['order']}" if row["order"] else "-"
        cells = [
            f"`{row['name']}`",
            ", ".join(row["aliases"]),
            order,
            _measured(row["name"]) if row["order"] else "-",
            f"{row['evaluations_per_step']:.3g}",
            "yes" if row["stochastic"] else "",
            str(row["slots"]),
            " ".join(kind for kind in ("vp", "ve", "flow", "trig") if _works(row["name"], kind)),
            ", ".join(f"{name} {_short(value)}" for name, value in row["options"].items()),
            _source(row["about"], sources),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    live = [
        f"`{name}` chooses its steps while it runs (`solver/live.py`), by the error of each: no step count, and dials "
        f"{', '.join(f'{dial} {p.default:g}' for dial, p in parameters(each.run).items())}. {_source(each.run.__doc__ or '', sources)}"
        for name, each in LIVE.items()
    ]
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(live) + "\n"


def _measured(name: str) -> str:
    return " / ".join(f"{measured_order(name, *PROCESSES[kind]):.1f}" for kind in ("vp", "flow"))


def _works(name: str, kind: str) -> bool:
    """Whether many latents have about the mean and the deviation of the data; loosely, as few-step samplers blur them."""
    process, prediction = PROCESSES[kind]
    plan = compile_plan(name, "karras", 48, process, prediction)
    rng = np.random.default_rng(5)
    made = plan.run(exact_model(process, prediction), rng.standard_normal(500), lambda k: rng.standard_normal(500))
    weights, means, deviations = map(np.array, (LOPSIDED.weights, LOPSIDED.means, LOPSIDED.deviations))
    mean = weights @ means
    deviation = float(np.sqrt(weights @ (deviations**2 + means**2) - mean**2))
    return bool(abs(made.mean() - mean) < 0.4 and 0.6 < made.std() / deviation < 1.4)  # not of NaN


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _citations() -> dict[str, str]:
    """URL to "authors, title, year" wherever a docstring of the samplers says it in full."""
    modules = [
        importlib.import_module(f"{samplers.__name__}.{m.name}") for m in pkgutil.iter_modules(samplers.__path__)
    ]
    texts = [module.__doc__ or "" for module in modules]
    texts += [getattr(thing, "__doc__", None) or "" for module in modules for thing in vars(module).values()]
    found = {}
    for text in texts:
        for match in CITATION.finditer(" ".join(text.split())):
            year = re.search(r"\b(?:19|20)\d\d\b", match[0].rsplit('"', 1)[1])
            authors = match[1].removeprefix("After ")
            found[match[3].rstrip(".")] = f"{authors}, *{match[2]}*" + (f", {year[0]}" if year else "")
    return found


def _source(about: str, sources: dict[str, str]) -> str:
    links = dict.fromkeys(url.rstrip(".") for url in URL.findall(about))
    return "; ".join(f"[{sources[url]}]({url})" for url in links)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
