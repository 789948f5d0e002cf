"""Why a broker does not talk to us, in one sentence: nobody there, TLS that does not fit, a login that it refuses."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from dataflows.settings import Kafka

LONGEST = 200  # characters of a client's own words

TLS = "_SSL"  # librdkafka's names of what its error callback is told
LOGIN = "_AUTHENTICATION"


def sentence(kafka: Kafka, said: str, errors: Sequence[tuple[str, str]]) -> str:
    """What happened and what to do; `said` is what the failed call said, `errors` names and texts from its callback."""
    where, names = kafka.bootstrap_servers, {name for name, _ in errors}
    if LOGIN in names:
        words = next(text for name, text in errors if name == LOGIN)
        return (
            f"the broker at {where} refuses the login of {kafka.sasl_username!r} by {kafka.sasl_mechanism} ({_short(words)}); "
            "check kafka.sasl_username, kafka.sasl_mechanism and the password"
        )
    if TLS in names:
        why = _verify(kafka) or _short(next(text for name, text in errors if name == TLS))
        return (
            f"no TLS with the broker at {where} ({why}); check kafka.ssl_ca_location, the broker's certificate "
            "and the name in kafka.bootstrap_servers"
        )
    alert = next((text for _, text in errors if "SSL routines" in text and "alert" in text), None)
    if alert is not None:
        return (
            f"the broker at {where} refuses our side of TLS ({_short(alert)}); check kafka.ssl_certificate_location "
            "and kafka.ssl_key_location"
        )
    hint = ""
    if _listens(where):
        hint = ", and see whether kafka.security_protocol is what it speaks"
        if "ssl" in kafka.security_protocol:  # a broker that wants a certificate may hang up without a word
            hint += " and whether it wants a certificate of ours (kafka.ssl_certificate_location)"
    return f"no Kafka broker answers at {where} ({said}); start it, or set kafka.bootstrap_servers{hint}"


def _verify(kafka: Kafka) -> str | None:
    """What OpenSSL has against the certificate: the client says only that it could not be verified."""
    host, port = _first(kafka.bootstrap_servers)
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_location)
        with socket.create_connection((host, port), timeout=5.0) as raw, context.wrap_socket(raw, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    except (OSError, ValueError):
        return None


def _listens(servers: str) -> bool:
    try:
        with socket.create_connection(_first(servers), timeout=5.0):
            return True
    except (OSError, ValueError):
        return False


def _first(servers: str) -> tuple[str, int]:
    """
    >>> _first("[::1]:9093,b:9092")
    ('::1', 9093)
    """
    host, _, port = servers.split(",")[0].strip().rpartition(":")
    return host.strip("[]"), int(port)


def _short(text: str) -> str:
    """Without the connection and the state before and after it: they are the client's business.

    >>> _short("ssl://127.0.0.1:9/bootstrap: SASL authentication error: Authentication failed (after 9ms in state AUTH_REQ)")
    'SASL authentication error: Authentication failed'
    """
    text = text.partition(" (after ")[0]
    first, colon, rest = text.partition(": ")
    return (rest if colon and "://" in first else text)[:LONGEST]
