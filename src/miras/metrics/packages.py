"""The packages that only evaluation needs: imported when a figure first asks for them."""

from importlib import import_module, metadata
from typing import Any

from miras.errors import ConfigError

__all__ = ["package", "package_version"]


def package(module: str) -> Any:
    """A module out of the extra `evaluate`. Raises ConfigError where it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise _missing(error.name) from error


def package_version(name: str) -> str:
    """The version of a package out of the extra `evaluate`. Raises ConfigError where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise _missing(name) from error


def _missing(name: str | None) -> ConfigError:
    return ConfigError(f"text figures need {name}, which is not installed; run pip install 'miras[evaluate]'")
