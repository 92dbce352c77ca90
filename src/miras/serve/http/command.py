"""`miras serve` and `miras batch`: the model behind HTTP, and the same answers to a file of requests."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from miras.errors import ConfigError

if TYPE_CHECKING:
    from miras.model.quick import Decode
    from miras.serve.http.settings import ServerSettings

__all__ = ["batch", "checked_names", "heeding_interrupts", "read_token", "serve"]

_TOKEN = "MIRAS_TOKEN"
_SHORTEST = 16
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

_Decode = Annotated[
    Literal["auto", "int8", "float"],
    typer.Option(help="Answers in 8 bits, as the weights are, or in 8 bits where the model and the machine allow it."),
]


def serve(
    model: Annotated[str, typer.Option(help="A preset's name or a folder that save_pretrained wrote.")] = "nano",
    host: Annotated[str, typer.Option(help="Address to listen at; any but this machine's own needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes one that is free.")] = 8000,
    folder: Annotated[Path, typer.Option(help="Where conversations are kept; started again, they go on.")] = Path(
        "serve_out"
    ),
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the token that clients bring; else {_TOKEN} holds it.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host from which images may be fetched; may be repeated.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Origin of another web page that may use the server; may be repeated.")
    ] = None,
    proxy: Annotated[str | None, typer.Option(help="Address of a proxy whose X-Forwarded-For counts.")] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that running answers have to end, told to stop.")] = 30.0,
    sessions: Annotated[int, typer.Option(min=1, help="Most conversations that are kept.")] = 256,
    memory_mib: Annotated[
        int, typer.Option(min=1, help="MiB of conversations in memory; those used least lately wait on disk.")
    ] = 2048,
    batch: Annotated[int, typer.Option(min=1, help="Most answers that are written at once.")] = 8,
    per_minute: Annotated[int, typer.Option(min=0, help="Most requests of one client in a minute; 0: any.")] = 600,
    body_mib: Annotated[float, typer.Option(min=0.01, help="Most MiB of a request's body.")] = 32.0,
    megapixels: Annotated[float, typer.Option(min=0.01, max=100, help="Largest image.")] = 25.0,
    log_content: Annotated[bool, typer.Option("--log-content", help="Log questions and answers as well.")] = False,
    decode: _Decode = "auto",
) -> None:
    """Serve the model over HTTP: a page for people, an API of conversations, and OpenAI's chat completions."""
    from miras.serve.http.settings import ServerSettings

    token = read_token(token_file)
    with _needs_extra():
        settings = ServerSettings(
            model=Path(model).name or model,
            token=token,
            names=checked_names(host, token),
            origins=tuple(allow_origin or ()),
            image_hosts=tuple(allow_host or ()),
            body_bytes=int(body_mib * 2**20),
            pixels=int(megapixels * 1e6),
            per_minute=per_minute,
            log_content=log_content,
        )
        kept = {"sessions": sessions, "memory": memory_mib * 2**20, "batch": batch}
        _run(model, decode, host, port, folder, settings, kept, proxy, grace)


def batch(
    requests: Annotated[Path, typer.Argument(help="Requests in OpenAI's batch format, a JSON object a line.")],
    out: Annotated[Path, typer.Argument(help="Answers, a JSON object a line; the same command goes on with it.")],
    model: Annotated[str, typer.Option(help="A preset's name or a folder that save_pretrained wrote.")] = "nano",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host from which images may be fetched; may be repeated.")
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Most answers that are written at once.")] = 8,
    decode: _Decode = "auto",
) -> None:
    """Answer a file of chat requests as the server would, without one; can be interrupted and resumed."""
    from miras.serve.http.settings import ServerSettings

    settings = ServerSettings(model=Path(model).name or model, image_hosts=tuple(allow_host or ()))
    with _needs_extra():
        _run_batch(requests, out, model, decode, settings, at_once)


def read_token(file: Path | None) -> str | None:
    """The token from a file, or from the environment; None where neither is there. Raises ConfigError."""
    if file is None:
        token, where = os.environ.get(_TOKEN), _TOKEN
    else:
        where = str(file)
        try:
            token = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"no token can be read from {file} ({error}); write one line of text into it") from error
    if token is None:
        return None
    token = token.strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"the token in {where} should have at least {_SHORTEST} letters and digits, got {len(token)}; make one "
            "with: openssl rand -hex 24"
        )
    return token


def checked_names(host: str, token: str | None) -> tuple[str, ...]:
    """The names by which the server may be called, empty for any. Raises ConfigError where a token is needed."""
    import ipaddress

    try:
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    if token is not None:
        return ()
    if not own:
        raise ConfigError(
            f"at {host} others can reach the server, so it needs a token: write one into a file with "
            f"`openssl rand -hex 24 > token.txt` and add --token-file token.txt, or set {_TOKEN}; "
            "or leave --host out"
        )
    return tuple(dict.fromkeys((*_LOOPBACK, f"[{host}]" if ":" in host else host)))


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt in the end where Ctrl-C came amid a destructor, in which Python drops it."""
    before, told = signal.getsignal(signal.SIGINT), False
    if not callable(before):  # nobody is to be interrupted
        yield
        return

    def heed(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        before(number, frame)

    signal.signal(signal.SIGINT, heed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if told:
        raise KeyboardInterrupt


def _run(
    model: str,
    decode: "Decode",
    host: str,
    port: int,
    folder: Path,
    settings: "ServerSettings",
    kept: dict[str, int],
    proxy: str | None,
    grace: float,
) -> None:
    """Load the model, serve, and write the conversations down at the end."""
    import logging

    from rich.console import Console

    from miras.engine.engine import Engine, EngineSettings
    from miras.model.miras import Miras
    from miras.serve.http.app import make_app
    from miras.serve.http.running import bound, serve_until_stopped

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("miras").setLevel(logging.INFO)
    console = Console(stderr=True)
    at = bound(host, port)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with console.status(f"reading {model}"), heeding_interrupts():
        loaded = Miras.from_pretrained(model, merge_lora=True, decode=decode)
        engine = Engine(loaded, folder, EngineSettings(**kept))
    app = make_app(engine, settings)
    at.listen()  # so that whoever reads the next line is let in
    told = f"serving {settings.model} in {loaded.language.decode} at http://{host}:{at.getsockname()[1]}"
    console.print(told, highlight=False)
    try:
        serve_until_stopped(app, at, grace=grace, proxy=proxy)
    finally:
        engine.stop(grace=min(grace, 5.0))


def _run_batch(
    requests: Path, out: Path, model: str, decode: "Decode", settings: "ServerSettings", at_once: int
) -> None:
    import asyncio
    import tempfile

    from rich.console import Console
    from rich.progress import Progress

    from miras.engine.engine import Engine, EngineSettings
    from miras.model.miras import Miras
    from miras.serve.http.batch import answer_batch

    if not requests.is_file():
        raise ConfigError(f"there is no file {requests}; give a JSONL file of requests")
    with requests.open("rb") as file:
        lines = sum(1 for line in file if line.strip())
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="miras-batch-") as folder:
        with console.status(f"reading {model}"):
            loaded = Miras.from_pretrained(model, merge_lora=True, decode=decode)
        console.print(f"answering with {settings.model} in {loaded.language.decode}", highlight=False)
        engine = Engine(loaded, Path(folder), EngineSettings(batch=at_once))
        try:
            with Progress(console=console) as bar:
                task = bar.add_task("requests", total=lines)

                def tell(done: int) -> None:
                    bar.update(task, completed=done)

                result = asyncio.run(answer_batch(engine, settings, requests, out, tell=tell))
        except KeyboardInterrupt:
            typer.echo("what is answered is kept; the same command goes on from here", err=True)
            raise
        finally:
            engine.stop(grace=5.0)
    typer.echo(f"answered: {result.answered}\nrefused: {result.refused}\nfailed: {result.failed}\nkept: {result.kept}")


@contextmanager
def _needs_extra() -> Iterator[None]:
    """Say how to install what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "multipart", "prometheus_client", "python_multipart", "starlette", "uvicorn"):
            raise
        raise ConfigError(f'miras serve needs {error.name}; install it with: pip install "miras[serve]"') from error
