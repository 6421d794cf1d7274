"""The commands and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alearn.cli.options import DEFAULT_CONFIG, LOOPBACK, AsJson, ConfigPath

app = typer.Typer(
    name="alearn",
    help="Active learning on pretrained models, with annotators in Label Studio, until a target metric is hit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
label_studio = typer.Typer(
    help="A private Label Studio: loopback only, in an environment of its own.", no_args_is_help=True
)
config_app = typer.Typer(help="The YAML file of a loop.", no_args_is_help=True)
app.add_typer(label_studio, name="label-studio")
app.add_typer(config_app, name="config")


def _version(asked: bool) -> None:
    if asked:
        from alearn import __version__

        typer.echo(f"alearn {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: alearn quickstart --keep")
def quickstart(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A shipped config's name, or a YAML file.")
    ] = "solar-cells",
    keep: Annotated[bool, typer.Option("--keep", help="Leave Label Studio running at the end.")] = False,
    human: Annotated[bool, typer.Option("--human", help="No robots: you label, in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a whole loop: a private Label Studio, robot annotators, until the target is hit."""
    from alearn.cli.quickstart import run_quickstart

    run_quickstart(config, keep=keep or human, human=human, as_json=as_json)


@app.command(epilog="Example: alearn init photos/ --classes ok,defective")
def init(  # noqa: PLR0917 - the command's options
    source: Annotated[
        str, typer.Argument(metavar="ITEMS", help="A folder, a .csv, .jsonl or .parquet file, or a URL.")
    ],
    classes: Annotated[str, typer.Option(help="The answers, separated by commas.")],
    data: Annotated[str, typer.Option(help="What an item is: image or text; guessed from ITEMS when left out.")] = "",
    name: Annotated[str, typer.Option(help="The loop's name; the current folder's when left out.")] = "",
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist.")] = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write a commented config for your own items."""
    from alearn.cli.init import write_config

    write_config(source, classes=classes, data=data, name=name, out=out, as_json=as_json)


@app.command(epilog="Example: alearn add alearn.yaml --path more-photos/")
def add(
    config: ConfigPath = DEFAULT_CONFIG,
    path: Annotated[str, typer.Option(help="Another source of the same kind; the config's own when left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add items to a loop; items that are there already are left alone."""
    from alearn.cli.loops import add_items

    add_items(config, path=path, as_json=as_json)


@app.command(epilog="Example: alearn run alearn.yaml --once")
def run(
    config: ConfigPath = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Do what can be done now and return; for cron.")] = False,
    robots: Annotated[
        bool, typer.Option("--robots", help="Robots annotate, from the answers the items come with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a loop until its target or budget is reached, waiting for annotators in between."""
    from alearn.cli.loops import run_loop

    run_loop(config, once=once, robots=robots, as_json=as_json)


@app.command(epilog="Example: alearn serve solar.yaml intents.yaml --port 8085")
def serve(
    configs: Annotated[
        list[Path] | None, typer.Argument(metavar="CONFIG...", help="YAML files of loops, or folders of them.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; this machine's own when left out.")] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8085,
    address: Annotated[
        str, typer.Option(help="Where Label Studio reaches this server; http://HOST:PORT when left out.")
    ] = "",
) -> None:
    """Run loops as a service: Label Studio calls when a label is saved, and the queue is better seconds later."""
    from alearn.cli.serving import serve_loops

    serve_loops(configs or [DEFAULT_CONFIG], host=host, port=port, address=address)


@app.command(epilog="Example: alearn status alearn.yaml --json")
def status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Where a loop stands: items, labels, metric, what waits, what was put aside and why."""
    from alearn.cli.reading import show_status

    show_status(config, as_json=as_json)


@app.command(epilog="Example: alearn history alearn.yaml")
def history(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """The learning curve: every round with its labels, metrics, model version and decision."""
    from alearn.cli.reading import show_history

    show_history(config, as_json=as_json)


@app.command(epilog="Example: alearn replay alearn.yaml --round 3")
def replay(
    config: ConfigPath = DEFAULT_CONFIG,
    round_: Annotated[int | None, typer.Option("--round", help="Which round; the newest when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Do a round again from its record, on a copy, and compare it with what was. Exit code 1 when something differs."""
    from alearn.cli.replaying import replay_round

    replay_round(config, round_, as_json=as_json)


@app.command(epilog="Example: alearn health alearn.yaml --review 20")
def health(
    config: ConfigPath = DEFAULT_CONFIG,
    review: Annotated[
        int | None, typer.Option(help="Ask another person about so many of the most suspect labels.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What may be wrong with items and labels: copies, leaks, outliers, balance, labels that the model doubts."""
    from alearn.cli.health import show_health

    show_health(config, review=review, as_json=as_json)


@app.command(epilog="Example: alearn report alearn.yaml --out report.html")
def report(
    config: ConfigPath = DEFAULT_CONFIG,
    out: Annotated[
        Path | None, typer.Option(help="The .html or .json file to write; report.html when left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as JSON; --out FILE.json writes them.")
    ] = False,
) -> None:
    """Write one page that needs no other file: curve, forecast, quality, costs, doubts, and how to do it again."""
    from alearn.cli.reporting import write_report

    write_report(config, out=out, as_json=as_json)


@app.command(epilog="Example: alearn annotators alearn.yaml --hourly 18")
def annotators(
    config: ConfigPath = DEFAULT_CONFIG,
    hourly: Annotated[float | None, typer.Option(min=0, help="What an hour costs; the config's when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Who annotates: how reliably, with an interval; how fast; how far they agree."""
    from alearn.cli.team import show_annotators

    show_annotators(config, hourly=hourly, as_json=as_json)


@app.command(epilog="Example: alearn export alearn.yaml --labels labels.csv --model model/")
def export(  # noqa: PLR0917 - the command's options
    config: ConfigPath = DEFAULT_CONFIG,
    labels: Annotated[Path | None, typer.Option(help="Write the labels to this .jsonl or .csv file.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Write the newest model to this folder, which runs without torch.")
    ] = None,
    version: Annotated[str, typer.Option(help="Another than the newest: how its key in `alearn history` begins.")] = "",
    automatic: Annotated[
        bool,
        typer.Option("--automatic/--no-automatic", help="Whether the labels of `alearn autolabel` are written, too."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write the labels, or a model folder that stands on its own."""
    from alearn.cli.reading import export_results

    export_results(config, labels=labels, model=model, version=version, automatic=automatic, as_json=as_json)


@app.command(epilog="Example: alearn autolabel alearn.yaml --precision 0.98 --apply")
def autolabel(  # noqa: PLR0917 - the command's options
    config: ConfigPath = DEFAULT_CONFIG,
    precision: Annotated[float, typer.Option(help="At least this share of the automatic labels is right …")] = 0.98,
    confidence: Annotated[float, typer.Option(help="… with this confidence.")] = 0.95,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="The same for each class's labels, with a threshold of its own.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Give the labels; without it nothing is written.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Remove all automatic labels, and do no more.")] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Show the labels on the platform, too, behind the queue.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Show so many of them: the least sure.")] = None,
    as_json: AsJson = False,
) -> None:
    """Label what the newest model is sure of, as far as the hold-out shows that it is right; people keep the rest."""
    from alearn.cli.autolabel import label_automatically, withdraw_labels
    from alearn.cli.showing import Showing

    showing = Showing(suggest, limit)
    if withdraw:
        withdraw_labels(config, apply=apply, showing=showing, as_json=as_json)
    else:
        label_automatically(
            config,
            precision=precision,
            confidence=confidence,
            per_class=per_class,
            apply=apply,
            showing=showing,
            as_json=as_json,
        )


@app.command(epilog="Example: alearn restore alearn.yaml 3f2a91c0")
def restore(
    config: Annotated[Path, typer.Argument(help="The loop's YAML file.")],
    version: Annotated[str, typer.Argument(help="How the version's key in `alearn history` begins.")],
    as_json: AsJson = False,
) -> None:
    """Make an older model version current again, until new labels bring a newer one."""
    from alearn.cli.loops import restore_version

    restore_version(config, version, as_json=as_json)


@app.command(epilog="Example: alearn models --data image")
def models(
    data: Annotated[str, typer.Option(help="Only networks for these: image or text.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Those too whose weights would be downloaded.")] = False,
    as_json: AsJson = False,
) -> None:
    """The pretrained networks that can be named in a config, and whether their weights are on this machine."""
    from alearn.cli.networks import show_models

    show_models(data or None, every=every, as_json=as_json)


@app.command(epilog="Example: alearn select alearn.yaml --network efficientnet-lite0 --network torchvision:resnet18")
def select(
    config: ConfigPath = DEFAULT_CONFIG,
    network: Annotated[
        list[str] | None, typer.Option(help="A candidate; may be repeated. Left out: those whose weights are here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank pretrained networks, and where to cut them, by what they would make of this loop's labels."""
    from alearn.cli.selecting import select_network

    select_network(config, network or [], as_json=as_json)


@app.command(epilog="Example: alearn prune alearn.yaml --budget 50% --tolerance 0.01")
def prune(
    config: ConfigPath = DEFAULT_CONFIG,
    budget: Annotated[
        str, typer.Option(help="What to get down to: 50% of the computation, 2ms an item, or a file of 3MB.")
    ] = "50%",
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="How much of the metric may be lost.")] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Thin the newest model and train it again; it becomes current only where the metric allows it."""
    from alearn.cli.pruning import prune_model

    prune_model(config, budget=budget, tolerance=tolerance, as_json=as_json)


@app.command(epilog="Example: alearn simulate alearn.yaml --strategies margin,random --seeds 8 --labels 400")
def simulate(  # noqa: PLR0917 - the command's options
    config: ConfigPath = DEFAULT_CONFIG,
    strategies: Annotated[
        str, typer.Option(help="Separated by commas; the config's own, random and margin when left out.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="How often each is run.")] = 5,
    labels: Annotated[
        int | None, typer.Option(help="What a run may spend; the config's budget, or 400, when left out.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Labels a round; several sizes are compared: 16,64.")] = "",
    noise: Annotated[str, typer.Option(help="Share of wrong answers; several are compared: 0,0.1.")] = "",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at a time; the cores when left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; simulate/NAME beside the loop's.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Replay a loop that has run: its labels are the known answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare query strategies on items whose answers are known: the real loop, simulated annotators, one page."""
    from alearn.cli.simulating import simulate as run_simulation

    run_simulation(
        config,
        strategies=strategies,
        seeds=seeds,
        labels=labels,
        batch=batch,
        noise=noise,
        jobs=jobs,
        out=out,
        replay=replay,
        as_json=as_json,
    )


@app.command(epilog="Example: alearn predict model/ photos/ > predictions.jsonl")
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that `alearn export --model` wrote.")],
    items: Annotated[str, typer.Argument(metavar="ITEMS", help="A folder, a .csv, .jsonl or .parquet file, or a URL.")],
    text_column: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    image_column: Annotated[str, typer.Option(help="Column of the images' paths.")] = "image",
) -> None:
    """Predict with an exported model; one JSON object a line on stdout. Needs no torch."""
    from alearn.cli.predicting import print_predictions

    print_predictions(model, items, text_column=text_column, image_column=image_column)


@app.command(epilog="Example: alearn doctor alearn.yaml")
def doctor(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Check everything a loop relies on, and print what to do about what is wrong. Exit code 1 when something is."""
    from alearn.cli.doctor import examine

    examine(config, as_json=as_json)


@app.command(epilog="Example: alearn holdout alearn.yaml --margin 0.03")
def holdout(
    config: ConfigPath = DEFAULT_CONFIG,
    margin: Annotated[float, typer.Option(help="How exactly to know a share such as the accuracy.")] = 0.03,
    expect: Annotated[
        float | None, typer.Option(help="About how large it will be; the target, else 0.9, when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many hold-out labels it takes to know the accuracy so exactly, and to be certain of the target."""
    from alearn.cli.sizing import show_holdout

    show_holdout(config, margin=margin, expect=expect, as_json=as_json)


@label_studio.command("up", epilog="Example: alearn label-studio up")
def label_studio_up(as_json: AsJson = False) -> None:
    """Install Label Studio when needed, start it when needed, and say how to open it."""
    from alearn.cli.servers import up

    up(as_json=as_json)


@label_studio.command("down", epilog="Example: alearn label-studio down")
def label_studio_down(as_json: AsJson = False) -> None:
    """Stop it. Nothing that was annotated is lost."""
    from alearn.cli.servers import down

    down(as_json=as_json)


@label_studio.command("status", epilog="Example: alearn label-studio status --json")
def label_studio_status(as_json: AsJson = False) -> None:
    """Say whether it runs, and where. Exit code 1 when it does not."""
    from alearn.cli.servers import status as show

    show(as_json=as_json)


@config_app.command("schema", epilog="Example: alearn config schema > alearn.schema.json")
def config_schema() -> None:
    """Print the JSON schema of the config, for editors."""
    from alearn.cli.console import emit
    from alearn.config import Config

    emit(Config.model_json_schema())


@config_app.command("check", epilog="Example: alearn config check alearn.yaml")
def config_check(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Check a config and print it with every default filled in, and passwords as ***."""
    import yaml

    from alearn.cli.console import emit
    from alearn.config import load, masked

    shown = masked(load(config).model_dump(mode="json"))
    if as_json:
        emit(shown)
        return
    typer.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), nl=False)
