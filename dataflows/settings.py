"""Every setting, with its default and its reason. They are read in `settings_reader`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "ROADWATCH_"  # of the environment variables that set one


class SettingsError(Exception):
    """One sentence: which setting is wrong, where, and what would be right."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Section):
    """One topic to read."""

    topic: str
    format: Literal["observation", "ode-json", "j2735", "gbt32960", "sensor"]
    idle_after: float = Field(5.0, ge=0)  # s of silence after which a partition stops holding the others back
    partitions: tuple[Annotated[int, Field(ge=0)], ...] = ()  # only these, where other workers read the others; none: all


class Kafka(Section):
    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    ssl_ca_location: Path | None = None
    ssl_certificate_location: Path | None = None
    ssl_key_location: Path | None = None
    ssl_key_password: SecretStr | None = None
    ssl_key_password_file: Path | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None  # holds the password and nothing else; a newline at its end is not part of it
    group: str = "roadwatch"  # offsets are committed under it for lag tools; the recovery store says where to resume
    poll_messages: int = Field(10_000, ge=1, le=100_000)  # at most in one consume() call, and no more than are read in 0.05 s
    start: Literal["earliest", "latest"] = "earliest"  # for a partition that the recovery store does not know yet
    connect_timeout: float = Field(10.0, gt=0)  # s to wait for the broker at start
    partitions_interval: float = Field(10.0, gt=0)  # s between looks for partitions that were added; producers take minutes

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
    topics: tuple[Input, ...] = (
        Input(topic="v2x.observations", format="observation"),
        Input(topic="v2x.ode-bsm", format="ode-json"),
        # Vehicles report every 10 s or 30 s and loops every 30 s, so waiting for more only delays everybody else.
        Input(topic="ev.gbt32960", format="gbt32960", idle_after=0.5),
        Input(topic="roadside.sensors", format="sensor", idle_after=0.5),
    )


class Outputs(Section):
    alerts: str = "road.alerts"
    incidents: str = "road.incidents"  # compacted: the newest state of each open incident
    cells: str = "road.cells"
    dead_letters: str = "road.dead-letters"


class Window(Section):
    pane: int = Field(1000, ge=100, le=60_000)  # ms
    lateness: int = Field(2000, ge=0, le=600_000)  # ms behind its partition's newest that a record is still taken
    lead: int = Field(60_000, ge=0)  # ms that a partition may be ahead of the slowest one: what is further waits in the broker
    max_ahead: int = Field(10_000, ge=0)  # ms past its arrival: further, and the sender's clock is wrong
    max_behind: int = Field(0, ge=0)  # ms before its arrival: further is late, so that nobody waits for it; 0: no limit
    shards: int = Field(64, ge=1, le=4096)  # fixed for the life of a recovery store
    cell_resolution: int = Field(9, ge=7, le=11)  # H3: about 350 m across
    shard_resolution: int = Field(5, ge=3, le=8)  # H3: about 250 km2, a part of a city
    reading_shards: int = Field(4, ge=1, le=4096)  # EV fleets learn together, so few large ones rather than many small


class Recovery(Section):
    enabled: bool = True
    directory: Path = Path("var/recovery")
    interval: float = Field(10.0, gt=0)  # s between snapshots: what a crash makes the worker read again
    partitions: int = Field(4, ge=1)  # fixed for the life of the store; at least the number of processes


class Privacy(Section):
    key: SecretStr | None = None  # hashes identities; all processes of a cluster must share it
    key_file: Path = Path("var/pseudonym.key")  # made at the first run where there is no key


class Metrics(Section):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(9464, ge=0, le=65_535)  # a cluster's process i listens on port + i; 0 takes any free one


class Logs(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Alerts(Section):
    source: str = "/roadwatch"  # CloudEvents source
    status: Literal["Actual", "Exercise", "System", "Test"] = "Test"  # CAP: set Actual in production


class Settings(BaseSettings):
    """All of it. `roadwatch config` prints the effective values with secrets masked."""

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


def pseudonym_key(settings: Settings) -> bytes:
    """The key that hides identities: given, or kept in a file of mode 0600 that the first run makes."""
    if settings.privacy.key is not None:
        return settings.privacy.key.get_secret_value().encode()[:64]
    path = settings.privacy.key_file
    try:
        if not (key := path.read_bytes()[:64]):
            raise SettingsError(f"privacy.key_file {path} is empty; put back the key, or remove the file and a new one is made")
        return key
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SettingsError(f"cannot read privacy.key_file {path}: {error.strerror}; give it to this user") from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass  # another process of the cluster was quicker
    except OSError as error:
        raise SettingsError(f"cannot make privacy.key_file {path}: {error.strerror}; name a writable place") from None
    return path.read_bytes()[:64]
