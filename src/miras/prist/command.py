"""`miras prist …`: one command per job, each importing what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from miras.errors import ConfigError, DataError

__all__ = [
    "app",
    "convert_file",
    "describe_files",
    "fetch_images",
    "merge_files",
    "sample_file",
    "show_file",
    "split_file",
    "validate",
    "write_card",
]

app = typer.Typer(
    help="Check, convert, split, merge, sample, fetch, show and describe PRIST data.", no_args_is_help=True
)

_File = Annotated[Path, typer.Argument(help="PRIST JSON, or any format that `convert` reads.")]
_Images = Annotated[Path | None, typer.Option(help="Folder of the images.")]
_Masks = Annotated[Path | None, typer.Option(help="Folder with one labelme file per image.")]
_Seed = Annotated[int, typer.Option(help="Seed of the draw.")]


@app.command("validate")
def validate(
    files: Annotated[list[Path], typer.Argument(help="PRIST JSON files.")],
    images: _Images = None,
    masks: _Masks = None,
    out: Annotated[Path | None, typer.Option(help="Write every finding into this JSON file as well.")] = None,
) -> None:
    """Find what is wrong or odd, with file, record and remedy; ends with 1 when a record cannot be used."""
    from dataclasses import asdict

    from miras.files import write_json
    from miras.prist.check import check

    done = [check(file, images=images, masks=masks) for file in files]
    for checked in done:
        for finding in checked.findings:
            typer.echo(str(finding))
        found = ", ".join(f"{number} {kind}" for kind, number in checked.counts.items()) or "nothing to say"
        typer.echo(f"{checked.file}: {checked.usable} of {checked.records} records can be used; {found}")
    if out is not None:
        write_json(out, [{**asdict(checked), "usable": checked.usable} for checked in done])
    if any(checked.usable < checked.records for checked in done):
        raise typer.Exit(1)


@app.command("convert")
def convert_file(
    source: _File,
    out: Annotated[Path, typer.Argument(help="File, or folder for labelme, to write.")],
    to: Annotated[str, typer.Option(help="prist, llava, parquet, coco or labelme.")],
    given: Annotated[str | None, typer.Option("--from", help="Format of the source where it cannot be told.")] = None,
    images: _Images = None,
    masks: _Masks = None,
    drop_final: Annotated[
        bool, typer.Option("--drop-final", help="Leave out the segmentation turn: plain questions and answers.")
    ] = False,
) -> None:
    """Write the dialogues in another format; PRIST, parquet, COCO and labelme come back without loss."""
    from typing import get_args

    from miras.prist.convert import FormatName, convert

    for name in (to, given):
        if name is not None and name not in get_args(FormatName):
            raise ConfigError(f"a format is one of {', '.join(get_args(FormatName))}, got {name}; choose one of them")
    number = convert(
        source,
        out,
        to=to,  # type: ignore[arg-type]  # it was looked at above
        given=given,  # type: ignore[arg-type]
        images=images,
        masks=masks,
        drop_final=drop_final,
    )
    typer.echo(f"{number} dialogues in {out}")


@app.command("split")
def split_file(
    source: _File,
    out: Annotated[Path, typer.Argument(help="Folder for one {part}.json per part.")],
    sizes: Annotated[str, typer.Option(help="Records of each part, as train=7312,val=500,test=508.")],
    seed: _Seed = 0,
) -> None:
    """Divide by image into parts of exactly the sizes asked for, none sharing an image with another."""
    from miras.pages.html import counted
    from miras.prist.convert import open_records, write_records
    from miras.prist.split import split

    try:
        wanted = {name.strip(): int(size) for name, size in (part.split("=") for part in sizes.split(","))}
    except ValueError as error:
        raise ConfigError(f"sizes are written as train=7312,val=500,test=508, got {sizes!r}; write them so") from error
    for part, records in split(open_records(source), wanted, seed=seed).items():
        write_records(records, out / f"{part}.json", "prist")
        images = counted(len({record["img_id"] for record in records}), "image")
        typer.echo(f"{out / part}.json: {counted(len(records), 'dialogue')} about {images}")


@app.command("merge")
def merge_files(
    files: Annotated[list[Path], typer.Argument(help="Files to put together, in this order.")],
    out: Annotated[Path, typer.Option(help="PRIST JSON to write.")],
) -> None:
    """Put files together; what is there twice in every word is kept once."""
    from miras.prist.convert import open_records, write_records
    from miras.prist.split import merge

    parts = [open_records(file) for file in files]
    records = merge(parts)
    write_records(records, out, "prist")
    typer.echo(f"{len(records)} dialogues in {out}, {sum(map(len, parts)) - len(records)} were there before")


@app.command("sample")
def sample_file(
    source: _File,
    out: Annotated[Path, typer.Argument(help="PRIST JSON to write.")],
    count: Annotated[int, typer.Option(min=1, help="How many dialogues.")],
    seed: _Seed = 0,
) -> None:
    """Draw dialogues by a seed."""
    from miras.prist.convert import open_records, write_records
    from miras.prist.split import sample

    write_records(sample(open_records(source), count, seed=seed), out, "prist")
    typer.echo(f"{count} dialogues in {out}")


@app.command("fetch")
def fetch_images(
    source: _File,
    out: Annotated[Path, typer.Argument(help="Folder for the images.")],
    base: Annotated[str, typer.Option(help="Address of an image; {id} is its id, {name} its file name.")],
    at_once: Annotated[int, typer.Option(min=1, max=256, help="Downloads at a time.")] = 8,
) -> None:
    """Fetch the images by their ids; started again, it goes on with what is missing."""
    from rich.progress import Progress

    from miras.prist.convert import open_records
    from miras.prist.fetch import Fetched, fetch

    names = list(dict.fromkeys(record["img_id"] for record in open_records(source)))
    with Progress(transient=True) as progress:
        task = progress.add_task("images", total=len(names))

        def tell(done: Fetched) -> None:
            progress.update(task, completed=done.new + done.kept + len(done.failed))

        done = fetch(names, base, out, at_once=at_once, tell=tell)
    for name, reason in sorted(done.failed.items()):
        typer.echo(f"{name}: {reason}", err=True)
    typer.echo(f"{done.new} images fetched, {done.kept} were there, {len(done.failed)} could not be had")
    if done.failed:
        raise typer.Exit(1)


@app.command("show")
def show_file(
    source: _File,
    out: Annotated[Path, typer.Argument(help="Folder for index.html and its pictures.")],
    images: _Images = None,
    masks: _Masks = None,
) -> None:
    """Write a gallery of the dialogues with their targets marked."""
    from miras.prist.convert import open_records, with_masks
    from miras.prist.show import show

    if not (records := open_records(source)):
        raise DataError(f"{source} holds no dialogue; give a file with at least one")
    if masks is not None:
        records = with_masks(records, masks)
    bare = show(records, out, images=images, title=source.stem)
    typer.echo(f"{len(records)} dialogues in {out / 'index.html'}, {bare} of them without a picture")


@app.command("stats")
def describe_files(
    files: Annotated[list[Path], typer.Argument(help="PRIST JSON, or any format that `convert` reads.")],
    out: Annotated[Path | None, typer.Option(help="Folder for stats.md, stats.json and the figures.")] = None,
    masks: _Masks = None,
    name: Annotated[str, typer.Option(help="Name of the data set in its row of table 8.")] = "this data set",
    tokenizer: Annotated[Path | None, typer.Option(help="Folder of a tokenizer to count tokens with.")] = None,
) -> None:
    """Count what the files hold: tables 2 and 8 and figures 3 and 5 of the paper."""
    from itertools import chain

    from miras.prist.convert import open_records, with_masks
    from miras.prist.description import as_markdown, write_description
    from miras.prist.stats import describe, tokens_of

    count, token = tokens_of, "words and punctuation marks"
    if tokenizer is not None:
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(tokenizer)
        count, token = (lambda text: len(loaded.encode(text, add_special_tokens=False))), f"of {tokenizer.name}"
    opened = (open_records(file) for file in files)
    marked = (records if masks is None else with_masks(records, masks) for records in opened)
    stats = describe(chain.from_iterable(marked), count_tokens=count)
    if out is not None:
        write_description(stats, out, name, token)
    typer.echo(as_markdown(stats, name, token))


@app.command("card")
def write_card(
    source: _File,
    out: Annotated[Path, typer.Argument(help="README.md to write.")],
    name: Annotated[str, typer.Option(help="Name of the data set.")],
    made: Annotated[Path | None, typer.Option(help="report.json of `miras generate`.")] = None,
) -> None:
    """Write the data card that goes with a published data set."""
    import json

    from miras.files import write_text
    from miras.prist.card import as_card, licences
    from miras.prist.convert import open_records
    from miras.prist.stats import describe

    try:
        report = json.loads(made.read_text(encoding="utf-8")) if made else None
    except (OSError, ValueError) as error:
        raise DataError(f"{made} should be the report.json of a run ({error}); name another file") from error
    records = open_records(source)
    text = as_card(describe(records), name, "words and punctuation marks", licences(records), report)
    typer.echo(str(write_text(out, text)))
