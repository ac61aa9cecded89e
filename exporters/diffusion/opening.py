"""A pipeline from what a user names: a folder, a hub id, or a single file with all weights in their original layout."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from ...assets.refusal import Refusal, Unknown
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
        return _single(path, config) if path.is_file() else _folder(source)
    except Refusal:
        raise
    except Exception as error:  # diffusers' loaders have many types of errors, and no common one
        remedy = "give a folder, a hub id or a checkpoint"
        if path.is_file():
            remedy = "give --config FOLDER, a diffusers pipeline of the same model"
        raise Refusal(
            "missing", "source", f"{source} cannot be opened as a pipeline: {first_line(error)}", remedy
        ) from error


def _folder(source: str) -> Any:
    import diffusers

    return diffusers.DiffusionPipeline.from_pretrained(source, dtype=torch.float32)


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
    pipe = getattr(diffusers, name).from_single_file(str(path), dtype=torch.float32, **more)
    return pipe


def _recognised(path: Path) -> str:
    """The class of pipeline that a single file's names of weights belong to."""
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type, load_single_file_checkpoint

    kind = infer_diffusers_model_type(load_single_file_checkpoint(str(path)))
    if kind not in SINGLE:
        raise Unknown("source", kind, SINGLE)
    return SINGLE[kind]


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
