"""What a run may run on: memory, peak speed and bandwidth of GPUs from their data sheets, and of a CPU."""

from dataclasses import dataclass
from importlib.resources import files

from miras.errors import ConfigError
from miras.settings import read_settings, typed

__all__ = ["Machine", "machine", "machines"]


@dataclass(frozen=True)
class Machine:
    """One device."""

    name: str
    memory: float
    """In GiB."""
    bf16: float
    """TFLOPS of dense products in bf16."""
    fp32: float
    """TFLOPS of fp32."""
    bandwidth: float
    """Of its memory, in GB/s."""
    source: str
    """Where the numbers are from."""
    cpu: bool = False
    """Whether it is no GPU."""


def machines() -> dict[str, Machine]:
    """All devices by the names that `--gpu` takes."""
    known = read_settings(files(__package__) / "machines.yaml")
    return {name: typed(Machine, values) for name, values in known.items()}


def machine(name: str) -> Machine:
    """The device of that name. Raises ConfigError for another."""
    known = machines()
    if name not in known:
        raise ConfigError(f"--gpu must be one of {', '.join(known)}, got {name!r}")
    return known[name]
