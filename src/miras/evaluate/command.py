"""`miras evaluate …`: one command per step, each importing what it needs when it runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from miras.evaluate.baselines.command import baseline
from miras.evaluate.benchmarks.command import cases as write_cases
from miras.evaluate.judge.command import judge, judge_pair
from miras.evaluate.judge.human.command import app as human
from miras.evaluate.report.command import report

__all__ = ["app", "compare", "photos", "predict", "score"]

app = typer.Typer(help="Ask a model, score what it answers, judge it and report it.", no_args_is_help=True)
app.command("cases")(write_cases)


_Model = Annotated[str, typer.Option(help="A preset's name or a folder that save_pretrained wrote.")]


@app.command("predict")
def predict(
    cases: Annotated[Path, typer.Option(help="What is asked, a file that `cases` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on with it.")],
    model: _Model = "nano",
    history: Annotated[
        Literal["own", "gold", "none"],
        typer.Option(help="Whose earlier answers the model sees: its own, the true ones, or none."),
    ] = "own",
    images: Annotated[Path | None, typer.Option(help="Folder of images, where it is not the one in the file.")] = None,
    blank: Annotated[bool, typer.Option("--blank", help="Show an image without content in place of every image.")] = (
        False
    ),
    setting: Annotated[str | None, typer.Option(help="What a report calls it: zero-shot or fine-tuned.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Conversations held at once.")] = 16,
    decode: Annotated[
        Literal["int8", "float"], typer.Option(help="Answers in 8 bits, on a processor, or as the weights are.")
    ] = "float",
) -> None:
    """Hold every conversation of a file of cases with a model; under torchrun, each process its share."""
    from miras.evaluate.run import run_predict

    try:
        run_predict(
            cases,
            out,
            model,
            history=history,
            images=images,
            blank=blank,
            setting=setting,
            batch_size=batch_size,
            decode=decode,
        )
    except KeyboardInterrupt:
        typer.echo("\nwhat is answered is kept; the same command goes on from here", err=True)
        raise


@app.command("score")
def score(
    run: Annotated[Path, typer.Argument(help="Folder of a run; with --predictions it is made.")],
    predictions: Annotated[Path | None, typer.Option(help="Any model's answers; with --cases.")] = None,
    cases: Annotated[Path | None, typer.Option(help="What those answer.")] = None,
    bertscore: Annotated[bool, typer.Option("--bertscore", help="BERTScore as well, which takes longest.")] = False,
    bertscore_model: Annotated[
        Path | None, typer.Option(help="Folder of its model, where it is not the stand-in MiniLM-L6.")
    ] = None,
    bertscore_layers: Annotated[int | None, typer.Option(min=1, help="Layers of that model to use.")] = None,
    replicates: Annotated[int, typer.Option(min=1, help="Draws that intervals are taken from.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
) -> None:
    """Every mask and text figure of a run with its interval, from any model's answers."""
    from miras.errors import ConfigError
    from miras.evaluate.score import adopt_answers, score_run
    from miras.evaluate.summary import print_figures
    from miras.metrics.bertscore import BertScore

    if (predictions is None) != (cases is None):
        raise ConfigError("--predictions and --cases go together, got one of them; give both, or a run folder alone")
    if predictions is not None and cases is not None:
        adopt_answers(predictions, cases, run)
    scorer = BertScore(bertscore_model, bertscore_layers) if bertscore or bertscore_model else None
    print_figures(score_run(run, bertscore=scorer, replicates=replicates, seed=seed))


@app.command("compare")
def compare(
    run: Annotated[Path, typer.Argument(help="Folder of a scored run.")],
    other: Annotated[Path, typer.Argument(help="Another, on the same cases.")],
    by: Annotated[
        list[str] | None, typer.Option(help="Strata as well: size, turn, category or another label; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file with every figure.")] = None,
    replicates: Annotated[int, typer.Option(min=1, help="Draws that intervals and p are taken from.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
) -> None:
    """Two runs on the same cases: every figure's difference, its interval, and whether it is more than chance."""
    from miras.evaluate.compare import compare_runs
    from miras.evaluate.summary import print_comparison
    from miras.files import write_json

    found = compare_runs(run, other, by=by or (), replicates=replicates, seed=seed)
    if out is not None:
        write_json(out, found)
    print_comparison(found)


app.command("baseline")(baseline)
app.command("judge")(judge)
app.command("judge-pair")(judge_pair)
app.add_typer(human, name="human")
app.command("report")(report)


@app.command("photos")
def photos(
    data: Annotated[Path, typer.Option(help="Folder with images/ and one {split}.jsonl.gz per split.")],
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")],
    split: Annotated[str, typer.Option(help="Which split to score.")] = "val",
    model: _Model = "nano",
    limit: Annotated[int | None, typer.Option(min=1, help="Score only this many targets, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw of the protocol.")] = 0,
) -> None:
    """Masks, answers and controls on annotated photos."""
    from miras.evaluate.photos.protocol import run_photos

    run_photos(data=data, split=split, out=out, model=model, limit=limit, seed=seed)
