"""Every setting, with its default and its reason. They are read in `settings_reader`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from dataflows.told import ToldError

PREFIX = "ROADWATCH_"  # of the environment variables that set one
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
DECADE = 315_360_000_000  # ms
COUNTS_FROM = "a relative path counts from the directory in which the command is started"


class SettingsError(ToldError):
    """One sentence: which setting is wrong, where, and what would be right."""


def _topic(name: str) -> str:
    """Kafka's own rule, which says so only when the topic is made or asked for."""
    if not TOPIC.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"{name!r} can be no topic's name: take 1 to 249 letters, digits, dots, hyphens and underscores")
    return name


Topic = Annotated[str, AfterValidator(_topic)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Section):
    """One topic to read."""

    topic: Topic = Field(description="its name; it must exist")
    format: Literal["observation", "ode-json", "j2735", "ydt3709", "etsi", "etsi-json", "gbt32960", "sensor"] = Field(
        description="what its messages are: observation, ode-json, j2735, ydt3709, etsi, etsi-json, gbt32960 or sensor"
    )
    idle_after: float = Field(5.0, ge=0, description="s of silence after which a partition stops holding the others back")
    partitions: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="only these, where other workers read the others; none: all"
    )


class Kafka(Section):
    """The broker, how to log in to it, and how to read from it."""

    bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description="host:port of one broker or of several, with commas between them"
    )
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext",
        description="plaintext; ssl: encrypted; sasl_ssl: with a login too; sasl_plaintext: a login that all can hear",
    )
    ssl_ca_location: Path | None = Field(None, description="file of the authorities to believe; none: the system's")
    ssl_certificate_location: Path | None = Field(None, description="file of the worker's own certificate, to log in with")
    ssl_key_location: Path | None = Field(None, description="file of that certificate's private key")
    ssl_key_password: SecretStr | None = Field(None, description="secret that opens the private key; better kept in a file")
    ssl_key_password_file: Path | None = Field(None, description="file with that secret and nothing else")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needed where security_protocol has sasl in it"
    )
    sasl_username: str | None = Field(None, description="name to log in under")
    sasl_password: SecretStr | None = Field(None, description="secret to log in with; better kept in a file")
    sasl_password_file: Path | None = Field(
        None, description="file with the password and nothing else; a newline at its end is not part of it"
    )
    group: str = Field(
        "roadwatch",
        min_length=1,
        description="offsets are committed under it for lag tools; the recovery store says where to resume",
    )
    poll_messages: int = Field(
        10_000, ge=1, le=100_000, description="messages at most in one call, and no more than are read in 0.05 s"
    )
    start: Literal["earliest", "latest"] = Field(
        "earliest", description="earliest or latest: where to begin in a partition that the recovery store does not know yet"
    )
    connect_timeout: float = Field(10.0, gt=0, description="s to wait for the broker at the start")
    partitions_interval: float = Field(
        10.0, gt=0, le=86_400, description="s between looks for partitions that were added; producers take minutes to see them"
    )

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        for name in ("sasl_password", "ssl_key_password"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} and {name}_file are both given; give one")
        if self.security_protocol.startswith("sasl_"):
            if not (self.sasl_mechanism and self.sasl_username):
                raise ValueError(f"security_protocol {self.security_protocol} needs sasl_mechanism and sasl_username")
            if self.sasl_password is None and self.sasl_password_file is None:
                raise ValueError(f"security_protocol {self.security_protocol} needs sasl_password_file or sasl_password")
        return self


class Inputs(Section):
    """What is read."""

    topics: tuple[Input, ...] = Field(
        (
            Input(topic="v2x.observations", format="observation"),
            Input(topic="v2x.ode-bsm", format="ode-json"),
            # Vehicles report every 10 s or 30 s and loops every 30 s, so waiting for more only delays everybody else.
            Input(topic="ev.gbt32960", format="gbt32960", idle_after=0.5),
            Input(topic="roadside.sensors", format="sensor", idle_after=0.5),
        ),
        description="each with one format; a list that is given replaces all of this one",
    )


class Outputs(Section):
    """The topics that are written."""

    alerts: Topic = Field("road.alerts", description="topic of every change of an incident")
    incidents: Topic = Field("road.incidents", description="topic of the newest state of each open incident, compacted")
    cells: Topic = Field("road.cells", description="topic of a road cell's traffic, minute by minute")
    dead_letters: Topic = Field("road.dead-letters", description="topic of what could not be read, with its reason")


class Window(Section):
    """Event time: how it is cut, and how long is waited for whom."""

    pane: int = Field(
        1000,
        ge=100,
        le=5_000,
        description="ms of event time that are closed at once; detectors are made for 1000; fixed like shards",
    )
    lateness: int = Field(
        2000,
        ge=0,
        le=600_000,
        description="ms behind its partition's newest that a record is still taken; delays every incident",
    )
    lead: int = Field(
        60_000, ge=0, description="ms that a partition may be ahead of the slowest one: what is further waits in the broker"
    )
    max_ahead: int = Field(10_000, ge=0, le=DECADE, description="ms past its arrival: further, and the sender's clock is wrong")
    max_behind: int = Field(
        0, ge=0, le=DECADE, description="ms before its arrival: further is late, so that nobody waits for it; 0: no limit"
    )
    shards: int = Field(64, ge=1, le=4096, description="units of state; fixed for the life of a recovery store")
    cell_resolution: int = Field(
        9, ge=7, le=11, description="H3 resolution of road cells: 9 is about 350 m across; fixed like shards"
    )
    shard_resolution: int = Field(
        5, ge=3, le=8, description="H3 resolution of shards: 5 is about 250 km2, a part of a city; fixed like shards"
    )
    reading_shards: int = Field(
        4,
        ge=1,
        le=4096,
        description="of EV fleets, which learn together: few large ones rather than many small; fixed like shards",
    )

    @model_validator(mode="after")
    def _shards_of_cells(self) -> Self:
        if self.shard_resolution > self.cell_resolution:
            raise ValueError("shard_resolution is finer than cell_resolution, and a shard is made of cells: take a coarser one")
        return self


class Recovery(Section):
    """The store from which a worker resumes."""

    enabled: bool = Field(True, description="without it a restart begins from nothing")
    directory: Path = Field(
        Path("var/recovery"), description=f"where the store lies; must survive, and has one worker; {COUNTS_FROM}"
    )
    interval: float = Field(10.0, gt=0, le=86_400, description="s between snapshots: what a crash makes the worker read again")
    partitions: int = Field(4, ge=1, description="fixed for the life of the store; at least the number of processes")


class Privacy(Section):
    """The key that hides identities; it is part of the input, so keep it."""

    key: SecretStr | None = Field(
        None, min_length=1, description="secret that identities are hashed with; all processes of a cluster share it"
    )
    key_file: Path = Field(
        Path("var/pseudonym.key"),
        description="file of that secret, read where key is not set; whichever of run, replay and decode comes first makes it; "
        f"{COUNTS_FROM}",
    )


class Metrics(Section):
    """The pages /metrics, /livez and /readyz."""

    enabled: bool = Field(True, description="whether they are served")
    host: str = Field("127.0.0.1", description="address to listen on; there is no login")
    port: int = Field(
        9464, ge=0, le=65_535, description="a cluster's process i, from 0, listens on port + i; 0 takes any that is free"
    )


class Logs(Section):
    """The log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least that is written: debug, info, warning or error"
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="json: an object a line; console: for readers; auto: console on a terminal, else json"
    )


class Alerts(Section):
    """What is written into each alert."""

    source: str = Field("/roadwatch", description="CloudEvents source: the name of your site")
    status: Literal["Actual", "Exercise", "System", "Test"] = Field(
        "Test", description="CAP status: Test, Exercise, System, or Actual in production, for consumers act on no other"
    )


class Settings(BaseSettings):
    """All of it. `roadwatch config` prints the values in force, without secrets."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    kafka: Kafka = Kafka()
    inputs: Inputs = Inputs()
    outputs: Outputs = Outputs()
    window: Window = Window()
    recovery: Recovery = Recovery()
    privacy: Privacy = Privacy()
    metrics: Metrics = Metrics()
    logs: Logs = Logs()
    alerts: Alerts = Alerts()

    @field_validator("inputs")
    @classmethod
    def _distinct(cls, inputs: Inputs) -> Inputs:
        topics = [each.topic for each in inputs.topics]
        twice = sorted({topic for topic in topics if topics.count(topic) > 1})
        if twice:
            raise ValueError(f"topic {twice[0]} is listed twice; give each topic one format")
        return inputs

    @field_validator("outputs")
    @classmethod
    def _no_circle(cls, outputs: Outputs, info: ValidationInfo) -> Outputs:
        names = list(dict(outputs).values())
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"topic {twice[0]} is given twice; give each output a topic of its own")
        inputs = info.data.get("inputs")  # not there if it was refused itself
        for each in inputs.topics if inputs else ():
            if each.topic in names:
                raise ValueError(f"topic {each.topic} is an input as well, and would feed itself; take it out of inputs.topics")
        return outputs

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        from_file = InitSettingsSource(settings_cls, given.pop("_from_file", {}))
        return InitSettingsSource(settings_cls, given), env_settings, from_file
