"""Why a broker does not talk to us, in one sentence: nobody there, TLS that does not fit, a login that it refuses."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from dataflows.settings import Kafka

LONGEST = 200  # characters of a client's own words
PORT = 9092  # librdkafka's, where an address has none

TLS = "_SSL"  # librdkafka's names of what its error callback is told
LOGIN = "_AUTHENTICATION"
WAY = ("_TRANSPORT", "_RESOLVE")  # that a connection was refused or broke, or that there is no such host


def sentence(kafka: Kafka, said: str, errors: Sequence[tuple[str, str]]) -> str:
    """What happened and what to do; `said` is what the failed call said, `errors` names and texts from its callback."""
    where, names = _tried(kafka.bootstrap_servers), {name for name, _ in errors}
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
    why = next((_short(text) for name, text in reversed(errors) if name in WAY), said)
    start, hint = "start it", ""
    if _listens(kafka.bootstrap_servers):
        if why == said:
            why, start = "it takes connections and does not answer", "start it anew if it hangs"
        hint = ", and see whether kafka.security_protocol is what it speaks"
        if "ssl" in kafka.security_protocol:  # a broker that wants a certificate may hang up without a word
            hint += " and whether it wants a certificate of ours (kafka.ssl_certificate_location)"
    return f"no Kafka broker answers at {where} ({why}); {start}, or set kafka.bootstrap_servers{hint}"


def _tried(servers: str) -> str:
    """The addresses with their ports, as the client tries them.

    >>> _tried("a:9093,[::1]:9094"), _tried("127.0.0.1")
    ('a:9093,[::1]:9094', '127.0.0.1:9092, for no port was given')
    """
    addresses = [each.strip() for each in servers.split(",")]
    whole = [each if _port(each) else f"{each}:{PORT}" for each in addresses]
    return ",".join(whole) + ("" if whole == addresses else ", for no port was given")


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
    >>> _first("[::1]:9093,b:9092"), _first("b")
    (('::1', 9093), ('b', 9092))
    """
    first = servers.split(",")[0].strip().rpartition("://")[2]
    port = _port(first)
    return first.removesuffix(f":{port}").strip("[]"), int(port or PORT)


def _port(address: str) -> str:
    """What stands behind the colon of an address; empty if none does.

    >>> [_port(each) for each in ("a:9093", "a", "[::1]:9093", "[::1]", "::1", "SSL://a", "SSL://a:9093")]
    ['9093', '', '9093', '', '', '', '9093']
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    return port if host and (":" not in host or host.endswith("]")) else ""


def _short(text: str) -> str:
    """Without the connection and the state before and after it: they are the client's business.

    >>> _short("ssl://127.0.0.1:9/bootstrap: SASL authentication error: Authentication failed (after 9ms in state AUTH_REQ)")
    'SASL authentication error: Authentication failed'
    >>> _short("a:9092/bootstrap: Failed to resolve 'a:9092': Name or service not known (after 1ms in state CONNECT)")
    "Failed to resolve 'a:9092': Name or service not known"
    """
    text = text.partition(" (after ")[0]
    first, colon, rest = text.partition(": ")
    return (rest if colon and ("://" in first or first.endswith("/bootstrap")) else text)[:LONGEST]
