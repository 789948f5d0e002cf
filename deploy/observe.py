"""Shows that the dashboard and the rules work: scrapes a worker with a Prometheus of its own and asks it everything.

    python deploy/observe.py                          a made-up worker that reports every metric
    python deploy/observe.py --target 127.0.0.1:9464  a worker, or a demonstration, that runs

Needs the program prometheus (Debian's package of that name). Everything listens on loopback and is gone afterwards.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from check_dashboard import Prometheus, check, report
from pretend import PretendWorker

from dataflows.health import Health, serve
from dataflows.metrics import Metrics

RULES = Path(__file__).with_name("prometheus") / "rules.yml"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: roadwatch
    static_configs: [{{targets: ["{target}"]}}]
"""
START = 30.0  # s that Prometheus may take until it answers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(program: str, directory: Path, config: str) -> tuple[subprocess.Popen[bytes], str]:
    """Prometheus on a free loopback port with its store in `directory`, once it answers. Raises RuntimeError with its log."""
    (directory / "prometheus.yml").write_text(config, "utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    command = [program, f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'store'}"]
    command += [f"--web.listen-address={url.removeprefix('http://')}", "--log.level=warn"]
    with (directory / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + START
    while running.poll() is None and time.monotonic() < deadline:
        try:
            Prometheus(url).series("vector(1)")
        except (OSError, ValueError):  # not listening yet, or not ready and saying so in plain text
            time.sleep(0.1)
        else:
            return running, url
    running.kill()
    raise RuntimeError(f"Prometheus does not start; it says: {(directory / 'log').read_text('utf-8')[-2000:]}")


def stop(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(10)
    except subprocess.TimeoutExpired:
        running.kill()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--target", help="host:port of a worker's page; a made-up worker if left out")
    options.add_argument("--seconds", type=int, default=20, help="how long to scrape before asking (20)")
    options.add_argument("--may-be-missing", action="append", default=[], metavar="METRIC", help="no fault if absent")
    given = options.parse_args()
    program = shutil.which("prometheus")
    if program is None:
        print("There is no program prometheus: install Debian's package prometheus.", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        worker, target = None, given.target
        if target is None:
            metrics, health = Metrics(), Health()
            worker = PretendWorker(metrics, health)
            server = stack.enter_context(serve(health, port=0, metrics=metrics))
            target = f"127.0.0.1:{server.port}"
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roadwatch-observe-")))
        try:
            running, url = start(program, directory, CONFIG.format(rules=RULES, target=target))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 2
        stack.callback(stop, running)
        print(f"scraping http://{target}/metrics for {given.seconds} s; Prometheus is at {url}", flush=True)
        for _ in range(given.seconds):
            if worker is not None:
                worker.second(time.time())
            time.sleep(1)
        if not Prometheus(url).series('up{job="roadwatch"} == 1'):
            print(f"Nobody answers at http://{target}/metrics: start the worker, or name its port.", file=sys.stderr)
            return 2
        answers = check(Prometheus(url), interval="10s")
        excused = set() if worker else {"roadwatch_consumer_lag_messages"}  # some brokers do not know where they end
        return 0 if report(answers, frozenset(excused | set(given.may_be_missing))) else 1


if __name__ == "__main__":
    sys.exit(main())
