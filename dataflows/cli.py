"""Turns what connected vehicles and roadside sensors say into incidents that an emergency service can act on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dataflows import first_process, heap
from dataflows.meant import no_such
from dataflows.secret_files import exposed, refuse_on_the_command_line
from dataflows.settings import Settings, SettingsError
from dataflows.settings_reader import close_the_engines_page, load, settings_file
from dataflows.told import ToldError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
say = Console(stderr=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings in TOML; environment variables and flags override it.")
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override any setting.")]
Form = Annotated[
    str, typer.Option("--format", help="observation, ode-json, j2735, ydt3709, etsi, etsi-json, gbt32960 or sensor.")
]
Files = Annotated[list[Path], typer.Argument(help="Recorded messages: lines, hex lines or binary; .gz and .zst too.")]


class UsageError(ToldError):
    """A command that cannot be carried out as it was given."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from dataflows.version import this_version

        sys.stdout.write(f"roadwatch {this_version()}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """What belongs to no command; what is said of the program itself is `help` above."""


@app.command()
def run(
    processes: Annotated[int, typer.Option(min=1, help="Number of processes of one cluster; if one dies, all restart.")] = 1,
    process_id: Annotated[int | None, typer.Option(help="This process's place in --addresses.")] = None,
    addresses: Annotated[str | None, typer.Option(help="host:port of each process of the cluster, separated by ;")] = None,
    config: ConfigFile = None,
    set_: Set = None,
) -> None:
    """Run the worker: messages in from Kafka, incidents out, until a signal comes."""
    first_process.listen()
    if (process_id is None) != (addresses is None):
        raise UsageError("--process-id and --addresses belong together: give both, or --processes alone")
    settings = _load(config, set_)
    with _ending(settings):
        if processes > 1:
            from dataflows.cluster import supervise
            from dataflows.kafka_admin import BrokerError, connect
            from dataflows.store import is_there, open_store

            _log(settings)
            with suppress(BrokerError):  # the processes say so themselves, and are started again until it is there
                if settings.recovery.enabled:
                    if not is_there(settings):
                        connect(settings)  # before a store is made, which would belong to a run that never was
                    open_store(settings)  # what is refused now would be refused at every restart
            flags = ["--config", str(config)] if config else []
            supervise(processes, [*flags, *(part for each in set_ or [] for part in ("--set", each))])
            return
        heap.build_up()
        from dataflows.worker import work

        work(settings, process_id, addresses.split(";") if addresses else None, exposed(settings, settings_file(config)))


@contextmanager
def _ending(settings: Settings) -> Iterator[None]:
    """Where the log is JSON, so is the sentence with which a worker ends."""
    try:
        yield
    except ToldError as error:
        if settings.logs.format != "json":
            raise
        from dataflows import logs

        logs.configure(settings.logs.level, "json")
        logs.logger(__name__).critical(str(error))
        raise typer.Exit(error.exit_code) from None


@app.command()
def replay(
    files: Files,
    form: Form = "observation",
    out: Annotated[Path, typer.Option(help="Alerts, one JSON document a line.")] = Path("alerts.jsonl"),
    cells: Annotated[Path | None, typer.Option(help="Cell minutes, one JSON document a line.")] = None,
    dead_letters: Annotated[Path | None, typer.Option(help="Refused messages, as they came.")] = None,
    config: ConfigFile = None,
    set_: Set = None,
) -> None:
    """Send recorded files through the same graph, as fast as it goes; each file is a partition.

    A file may name its own format: sensors.jsonl=sensor.
    """
    heap.build_up()
    from dataflows.replay_command import replay_files

    replay_files(_with_formats(files, form, again=True), out, cells, dead_letters, settings_of(config, set_))


@app.command()
def decode(
    files: Files,
    form: Form = "observation",
    every: Annotated[bool, typer.Option("--every", help="Every refusal, not the first 20 for each reason.")] = False,
    config: ConfigFile = None,
    set_: Set = None,
) -> None:
    """Print each decoded observation or reading as a line of JSON, and each refusal with its reason on stderr."""
    from dataflows.decode_command import decode_files

    raise typer.Exit(decode_files(_with_formats(files, form), settings_of(config, set_), every))


@app.command()
def topics(
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of each input topic that is created.")] = 8,
    replication: Annotated[int, typer.Option(min=1, help="Replicas of each topic that is created.")] = 1,
    config: ConfigFile = None,
    set_: Set = None,
) -> None:
    """Make the topics that are missing, with the right configuration."""
    from dataflows.kafka_admin import create_missing

    made = create_missing(_log(settings_of(config, set_)), partitions, replication)
    say.print(f"made {', '.join(made)}" if made else "all topics are there", highlight=False, soft_wrap=True)


@app.command()
def watch(config: ConfigFile = None, set_: Set = None) -> None:
    """Show the open incidents as a live table, from the topic of incidents."""
    from dataflows.watch import watch as show

    show(_log(settings_of(config, set_)))


@app.command()
def demo(
    speed: Annotated[float, typer.Option(help="Playback speed as a multiple of real time.")] = 30.0,
    keep: Annotated[bool, typer.Option(help="Stay up when the recording is over.")] = False,
) -> None:
    """Play the bundled recording through a broker and the worker, and show incidents as they open and clear."""
    from dataflows.demo.show import demo as play

    raise typer.Exit(play(speed=speed, keep=keep))


@app.command()
def config(config: ConfigFile = None, set_: Set = None) -> None:
    """Print the settings in force as TOML: what each says, and no secret. Edited, it can be given to --config."""
    from dataflows.config_command import as_toml

    sys.stdout.write(as_toml(settings_of(config, set_)))


def settings_of(config: Path | None, set_: list[str] | None) -> Settings:
    settings = _load(config, set_)
    for warning in exposed(settings, settings_file(config)):
        say.print(f"roadwatch: warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    return settings


def _log(settings: Settings) -> Settings:
    """What is logged goes to stderr from now on, as a worker's log does: stdout is for what a command prints."""
    from dataflows import logs

    logs.configure(settings.logs.level, settings.logs.format)
    return settings


def _load(config: Path | None, set_: list[str] | None) -> Settings:
    flags: dict[str, Any] = {}
    for each in set_ or []:
        name, equals, value = each.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot):
            raise SettingsError(f"--set {name}: write it as section.key=value")
        refuse_on_the_command_line(section, key)
        flags.setdefault(section, {})[key] = value
    return load(config, flags)


def _with_formats(files: list[Path], form: str, again: bool = False) -> list[tuple[Path, str]]:
    """`path` or `path=format` -> (path, format); `again`: they are read twice. Raises UsageError for what cannot be read."""
    from dataflows.formats import FORMATS

    pairs = []
    for file in files:
        path, equals, own = str(file).rpartition("=")
        if not equals or Path(file).exists():
            path, own = str(file), ""
        name = own or form
        if name not in FORMATS:
            raise UsageError(f"format: {no_such(name, FORMATS)}")
        if Path(path).is_dir():
            raise UsageError(f"{path} is a directory; name the recordings in it")
        if path == "-":
            path = "/dev/stdin"
        if not Path(path).exists():
            raise UsageError(f"there is no file {path}; name a recording that exists")
        if again and not Path(path).is_file():
            raise UsageError(f"{path} is no ordinary file, and what comes through a pipe comes once: put it into a file first")
        pairs.append((Path(path), name))
    return pairs


def main() -> None:
    close_the_engines_page()
    try:
        app()
    except ToldError as error:
        _say(error)
        sys.exit(error.exit_code)


def _say(error: Exception) -> None:
    say.print(f"roadwatch: {error}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
