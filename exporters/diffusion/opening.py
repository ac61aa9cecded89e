"""A pipeline from what a user names: a folder, a hub id, or a single file with all weights in their original layout."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...assets.refusal import Corrupt, Refusal, Unknown
from ..errors import first_line

INDEX = "model_index.json"
SINGLE = {
    "v1": "StableDiffusionPipeline",
    "v2": "StableDiffusionPipeline",
    "xl_base": "StableDiffusionXLPipeline",
    "sd3": "StableDiffusion3Pipeline",
    "sd35_medium": "StableDiffusion3Pipeline",
    "sd35_large": "StableDiffusion3Pipeline",
    "flux-schnell": "FluxPipeline",
}
"""What diffusers takes a single file for, by its names of weights, to the class of pipeline."""
IDLE = "safety_checker"
"""A component that no export reads."""


def open_pipeline(source: str, config: str = "") -> Any:
    """A pipeline, float32 on the processor; HF_HUB_OFFLINE is respected.

    `config` is for single files: a folder of a diffusers pipeline (weights are not needed) that describes the file. Without
    it diffusers takes the configuration of the model it thinks the file is, from the hub or its cache.
    """
    path = Path(source)
    if path.is_dir() and not (path / INDEX).is_file():
        raise Refusal("missing", "source", f"{source} has no {INDEX}", "give the folder of a diffusers pipeline")
    if config and not path.is_file():
        raise Refusal("contradiction", "config", "describes a single file, and the source is none", "leave it out")
    try:
        pipe = _single(path, config) if path.is_file() else _folder(source)
    except Refusal:
        raise
    except Exception as error:  # diffusers' loaders have many types of errors, and no common one
        remedy = "give a folder, a hub id or a checkpoint"
        if path.is_file():
            remedy = "give --config FOLDER, a diffusers pipeline of the same model"
        raise Refusal(
            "missing", "source", f"{source} cannot be opened as a pipeline: {first_line(error)}", remedy
        ) from error
    for name, part in pipe.components.items():
        if isinstance(part, nn.Module) and name != IDLE:
            check_whole(part, f"source.{name}", ())
    return pipe


def load_whole(kind: Any, source: str, field: str) -> Any:
    """A model of diffusers or transformers, float32, refused by the first weight that its files lack.

    Both libraries go on without: transformers draws what is missing at random, diffusers leaves it empty or at its start.
    """
    from diffusers.utils import is_transformers_version

    called = "dtype" if is_transformers_version(">=", "4.56.0") else "torch_dtype"
    model, said = kind.from_pretrained(source, **{called: torch.float32}, output_loading_info=True)
    check_whole(model, field, said["missing_keys"])
    return model


def check_whole(model: nn.Module, field: str, missing: Collection[str]) -> None:
    """Refuses a model with weights of these names, or any that have no numbers."""
    held = (*model.named_parameters(), *model.named_buffers())
    lacks = {*missing, *(name for name, tensor in held if tensor.is_meta)}
    lacks = {name for name in lacks if not name.endswith("num_batches_tracked")}  # counts training, says nothing
    if lacks:
        first = next((name for name, _ in held if name in lacks), min(lacks))
        more = f" and {len(lacks) - 1} others" if len(lacks) > 1 else ""
        raise Corrupt(field, f"the files hold no weight {first!r}{more}", "fetch or save the model again")


def _folder(source: str) -> Any:
    """Each model is opened by itself, as a whole pipeline does not say what it found no weights for."""
    import diffusers

    folder = Path(source if Path(source).is_dir() else diffusers.DiffusionPipeline.download(source))
    listed = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    models = {}
    for name, entry in listed.items():
        kind = _model(*entry) if isinstance(entry, list) and len(entry) == 2 and name != IDLE else None
        if kind is not None and (folder / name).is_dir():
            models[name] = load_whole(kind, str(folder / name), f"source.{name}")
    return diffusers.DiffusionPipeline.from_pretrained(source, dtype=torch.float32, **models)


def _model(library: str | None, name: str) -> Any:
    """The class of a component of a pipeline where it is a model, by the names that the pipeline's index gives.

    Nothing is imported by those names: a downloaded index must not say what is run.
    """
    import diffusers
    import transformers

    own = {"diffusers": diffusers, "transformers": transformers}
    place = own.get(str(library)) or getattr(diffusers.pipelines, str(library), None)
    kind = getattr(place, str(name), None)
    models = (diffusers.ModelMixin, transformers.PreTrainedModel)
    return kind if isinstance(kind, type) and issubclass(kind, models) else None


def _single(path: Path, config: str) -> Any:
    import diffusers

    if config:
        index = Path(config) / INDEX
        if not index.is_file():
            raise Refusal("missing", "config", f"{config} has no {INDEX}", "give the folder of a diffusers pipeline")
        name = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    else:
        name = _recognised(path)
    more = {"config": config, "local_files_only": True} if config else {"local_files_only": _offline()}
    try:
        return getattr(diffusers, name).from_single_file(str(path), dtype=torch.float32, **more)
    except NotImplementedError as error:  # an empty weight cannot be moved; diffusers does not say which it is
        sentence = f"{path} holds not all weights of its model"
        raise Corrupt("source", sentence, "fetch it again, or give --config FOLDER of its own model") from error


def _recognised(path: Path) -> str:
    """The class of pipeline that a single file's names of weights belong to."""
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type, load_single_file_checkpoint

    kind = infer_diffusers_model_type(load_single_file_checkpoint(str(path)))
    if kind not in SINGLE:
        raise Unknown("source", kind, SINGLE)
    return SINGLE[kind]


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
