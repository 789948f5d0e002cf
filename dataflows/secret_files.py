"""Secrets come from the environment or from files, never from the command line; says where one lies open."""

from __future__ import annotations

import os
import secrets
import stat
import time
import tomllib
from pathlib import Path

from pydantic import SecretStr

from dataflows.settings import PREFIX, Kafka, Privacy, Section, Settings, SettingsError

LONG = 16  # bytes: more than anybody can try, if they are random, which cannot be seen
WRITTEN = 1.0  # s in which a key file that was made is written
OPEN = stat.S_IROTH | stat.S_IWOTH  # to everybody; a group is how orchestrators hand secrets to a user that is not root


def secret(given: SecretStr | None, file: Path | None, name: str) -> str | None:
    """The secret itself: given, or the file's text without the newline at its end. Raises SettingsError."""
    if given is not None:
        return given.get_secret_value()
    if file is None:
        return None
    file = file.absolute()  # said in sentences, to who has started it elsewhere than before
    try:
        text = file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"cannot read {name} {file}: {why}; give it to this user") from None
    if not text:
        raise SettingsError(f"{name} {file} is empty; put the secret into it")
    return text


def pseudonym_key(settings: Settings) -> bytes:
    """The key that hides identities: given, or kept in a file of mode 0600 that the first run makes. Raises SettingsError."""
    if settings.privacy.key is not None:
        return settings.privacy.key.get_secret_value().encode()[:64]
    path = settings.privacy.key_file.absolute()  # said in sentences, to who has started it elsewhere than before
    try:
        return _key_in(path)
    except FileNotFoundError:
        pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass  # another process of the cluster was quicker
    except OSError as error:
        raise SettingsError(f"cannot make privacy.key_file {path}: {error.strerror}; name a writable place") from None
    return _key_in(path)


def _key_in(path: Path) -> bytes:
    """Waits a moment for whoever has just made the file and is about to write it. Raises SettingsError, FileNotFoundError."""
    until = time.monotonic() + WRITTEN
    try:
        while not (key := path.read_bytes()[:64]) and time.monotonic() < until:
            time.sleep(0.01)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(f"cannot read privacy.key_file {path}: {error.strerror}; give it to this user") from None
    if not key:
        raise SettingsError(f"privacy.key_file {path} is empty; put back the key, or remove the file and a new one is made")
    return key


def _key_to_be_made(settings: Settings) -> str:
    """That the key which hides identities will be made now, and where; empty if there is one, or none can be seen."""
    file = settings.privacy.key_file.absolute()
    try:
        if settings.privacy.key is not None or file.exists():
            return ""
    except OSError:  # `pseudonym_key` says it better
        return ""
    return f"a new key is made in {file}: reporters and alerts can only be compared under the same key"


def about_the_key(settings: Settings) -> list[str]:
    """What whoever starts something should know of the key: that it will be made now, and where; that it is too short."""
    making, given = _key_to_be_made(settings), settings.privacy.key
    said = [making] if making else []
    try:
        size = len(given.get_secret_value().encode() if given else settings.privacy.key_file.read_bytes())
    except OSError:  # there is none yet, or `pseudonym_key` says it better
        return said
    if 0 < size < LONG:
        name = "privacy.key" if given else f"privacy.key_file {settings.privacy.key_file.absolute()}"
        said.append(
            f"{name} is only {size} bytes long, so whoever tries all of that length learns which vehicles report, and can "
            f"forge a recovery store: take {LONG} random bytes or more, or leave it out and one is made"
        )
    return said


def refuse_on_the_command_line(section: str, key: str) -> None:
    """Raises SettingsError for a secret: whoever may list the processes of the machine could read it there."""
    model = Settings.model_fields[section].annotation if section in Settings.model_fields else None
    if isinstance(model, type) and issubclass(model, Section) and key in _secrets(model):
        other = f" or a file ({section}.{key}_file)" if f"{key}_file" in model.model_fields else ""
        raise SettingsError(
            f"--set {section}.{key}: a command line is readable by everybody on the machine; "
            f"put it into the environment ({PREFIX}{section.upper()}__{key.upper()}){other}"
        )


def exposed(settings: Settings, config: Path | None) -> list[str]:
    """A sentence for each secret that others can read; `config` is the settings file, if there is one."""
    kafka, found = settings.kafka, []
    files = {
        "kafka.sasl_password_file": kafka.sasl_password_file,
        "kafka.ssl_key_password_file": kafka.ssl_key_password_file,
        "kafka.ssl_key_location": kafka.ssl_key_location,
        "privacy.key_file": None if settings.privacy.key else settings.privacy.key_file,
    }
    if config is not None and _holds_a_secret(config):
        files["the settings file with a secret in it,"] = config
    for name, path in files.items():
        if path is not None and _mode(path) & OPEN:
            whole = path.absolute()
            found.append(f"{name} {whole} is open to every user of this machine: chmod o= {whole}")
    if kafka.security_protocol == "sasl_plaintext":
        found.append("kafka.security_protocol sasl_plaintext sends everything unencrypted, a PLAIN password too: use sasl_ssl")
    return found


def _mode(path: Path) -> int:
    """Who may do what with it; nobody, if it is not there or cannot be looked at."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _secrets(model: type[Section]) -> set[str]:
    return {name for name, field in model.model_fields.items() if "SecretStr" in str(field.annotation)}


def _holds_a_secret(config: Path) -> bool:
    given = tomllib.loads(config.read_text("utf-8"))
    return any(_secrets(model) & set(given.get(section, {})) for section, model in (("kafka", Kafka), ("privacy", Privacy)))
