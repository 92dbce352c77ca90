"""What makes a figure or a model traceable: the command, versions, the hash of the weights."""

import hashlib
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

__all__ = ["told_command", "versions", "weights_hash"]

_PACKAGES = ("miras", "torch", "transformers", "numpy", "pillow", "pycocotools")


def told_command() -> str:
    """The command that runs, as it was typed."""
    return shlex.join(["miras", *sys.argv[1:]])


def versions() -> dict[str, str | None]:
    """Version of Python and of each package that can move a figure; None where it is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def weights_hash(model: Any) -> str | None:
    """SHA-256 over the names and bytes of every weight, in order of name; None for what holds no weights."""
    if not isinstance(model, torch.nn.Module):
        return None
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
