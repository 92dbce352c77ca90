"""Settings from YAML files and from key=value words, made into typed objects.

A key that is unknown, missing or of another type is refused by the name under which it was written.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from importlib.resources.abc import Traversable
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from miras.errors import ConfigError

__all__ = ["change", "differences", "read_settings", "typed"]

_Kind = TypeVar("_Kind")
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def read_settings(path: Traversable, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The values of a YAML file with `key=value` settings laid over it.

    `parts.lora=1e-4` reaches inside, null takes away. Raises ConfigError naming the key as it was written.
    """
    if not path.is_file():
        raise ConfigError(f"no configuration at {path}; configs/ holds one per stage")
    data = _yaml(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path} should hold `key: value` lines, got {type(data).__name__}; see configs/")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"settings are written key=value, got {override!r}; for example steps=200")
        change(data, key.strip(), _yaml(value, override))
    return data


def change(data: dict[str, Any], key: str, value: Any) -> None:
    """Set one value of nested settings by its dotted name; null takes away what lies inside another."""
    *above, last = key.split(".")
    for name in above:
        if not isinstance(data.setdefault(name, {}), dict):
            raise ConfigError(f"{key} reaches into {name}, which is one value; write {name}=…")
        data = data[name]
    if value is None and above:
        data.pop(last, None)
    else:
        data[last] = value


def differences(began: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is otherwise than when a run was begun, as `name old → new` with commas between; empty where nothing is."""
    return ", ".join(
        f"{name} {began.get(name)!r} → {value!r}" for name, value in now.items() if began.get(name) != value
    )


def typed(kind: type[_Kind], data: dict[str, Any]) -> _Kind:
    """A dataclass from plain values, by its fields' types. Raises ConfigError, also as the dataclass itself does."""
    return kind(**_values(kind, data, ""))


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML ({error}); mend the line") from error


def _convert(kind: Any, value: Any, key: str) -> Any:
    """The value as the type that a field states; `key` is what it is called in messages."""
    origin, inside = get_origin(kind), get_args(kind)
    nested = hasattr(kind, "__dataclass_fields__")
    if (origin is dict or nested) and not isinstance(value, dict):
        raise ConfigError(f"{key} holds names with values, got {value!r}")
    if nested:
        return kind(**_values(kind, value, f"{key}."))
    if origin in (Union, UnionType):
        return None if value is None else _convert(next(k for k in inside if k is not NoneType), value, key)
    if origin is Literal:
        if value not in inside:
            raise ConfigError(f"{key} must be one of {', '.join(inside)}, got {value!r}")
        return value
    if origin is dict:
        return {str(name): _convert(inside[1], item, f"{key}.{name}") for name, item in value.items()}
    if origin in (list, tuple):
        return _sequence(origin, inside, value, key)
    return value if kind is Any else _scalar(kind, value, key)


def _sequence(origin: type, inside: tuple[Any, ...], value: Any, key: str) -> Any:
    if origin is list and isinstance(value, list):
        return [_convert(inside[0], part, key) for part in value]
    if origin is list:
        raise ConfigError(f"{key} is a list, got {value!r}; write [a, b]")
    if not isinstance(value, list | tuple) or len(value) != len(inside):
        raise ConfigError(f"{key} holds {len(inside)} values, got {value!r}")
    return tuple(_convert(part, item, key) for part, item in zip(inside, value, strict=True))


def _values(kind: Any, data: dict[str, Any], above: str) -> dict[str, Any]:
    """What a dataclass is made from; `above` stands before every key in messages."""
    hints = get_type_hints(kind)
    for name in data:
        if name not in hints:
            raise ConfigError(f"{above}{name} is not a setting; known: {', '.join(sorted(hints))}")
    for item in fields(kind):
        if item.default is item.default_factory is MISSING and item.name not in data:
            raise ConfigError(f"{above}{item.name} is missing; add it to the file or as {item.name}=…")
    return {name: _convert(hints[name], item, f"{above}{name}") for name, item in data.items()}


def _scalar(kind: type, value: Any, key: str) -> Any:
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)  # YAML reads 1e-4, without a point, as text
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{key} is {_KINDS[kind]}, got {value!r}")
