"""The `miras` command. Each command imports what it needs when it runs, so that `--help` is instant."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from miras.ablate.command import ablate
from miras.annotate.command import app as annotate
from miras.errors import MirasError
from miras.evaluate.command import app as evaluate
from miras.export.command import export
from miras.generate.command import generate
from miras.model.convert.command import convert_weights
from miras.prist.command import app as prist
from miras.serve.http.command import batch, serve
from miras.sets.command import app as data

__all__ = ["app", "chat", "demo", "train"]


class _Commands(TyperGroup):
    """Ends a command on purpose-made errors and on Ctrl-C with one line and a code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MirasError as error:
            typer.echo(f"miras: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            typer.echo("\nmiras: stopped", err=True)
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=_Commands,
    help="Talk about an image over several turns and get the pixels that are meant.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(evaluate, name="evaluate")
app.add_typer(prist, name="prist")
app.add_typer(data, name="data")
app.command("generate")(generate)
app.add_typer(annotate, name="annotate")
app.command("ablate")(ablate)
app.command("export")(export)
app.command("convert")(convert_weights)
app.command("serve")(serve)
app.command("batch")(batch)

_Model = Annotated[str, typer.Option(help="A preset's name or a folder that save_pretrained wrote.")]


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"miras {installed_version('miras')}")
    except PackageNotFoundError:
        typer.echo("miras, run from its source tree without being installed")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Talk about an image over several turns and get the pixels that are meant."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for overlays, masks, the conversations and index.html.")] = Path(
        "demo_out"
    ),
) -> None:
    """Hold a scripted conversation about the bundled photos and write what was marked."""
    from miras.serve.demo import run_demo

    run_demo(out)


@app.command()
def chat(
    image: Annotated[Path, typer.Argument(help="The image to talk about.")],
    model: _Model = "nano",
    out: Annotated[Path, typer.Option(help="Folder for overlays, masks and saved conversations.")] = Path("chat_out"),
    decode: Annotated[
        Literal["auto", "int8", "float"], typer.Option(help="Answers in 8 bits, as the weights are, or where possible.")
    ] = "float",
) -> None:
    """Talk about an image in the terminal; /undo, /image, /mask and /save are commands there."""
    from miras.serve.chat import run_chat

    run_chat(image, model, out, decode=decode)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file; configs/ holds one per stage.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value: steps=200.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only tell what the run will need: memory, work, time.")] = False,
    gpu: Annotated[
        str | None, typer.Option(help="Plan for this: h200, h100, a100-80, a6000, rtx4090 … or cpu.")
    ] = None,
    gpus: Annotated[int, typer.Option(help="Plan for so many of them in each host.", min=1)] = 1,
    hosts: Annotated[int, typer.Option(help="Plan for so many hosts.", min=1)] = 1,
    mfu: Annotated[
        float | None, typer.Option(help="Share of the peak speed to plan with, 0..1.", min=0.01, max=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the plan as JSON.")] = False,
) -> None:
    """Train one stage; started again, it goes on from its last checkpoint. With --plan, say what it will need."""
    if plan:
        from miras.train.plan.command import plan as plan_run

        plan_run(config, list(overrides or ()), gpu=gpu, gpus=gpus, hosts=hosts, mfu=mfu, as_json=as_json)
        return
    from miras.train.command import train as run_training

    run_training(config, list(overrides or ()))
