"""What is deployed agrees with the code: metrics, topics, settings; and Prometheus, where it is installed, agrees with both."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dataflows.health import Health
from dataflows.metrics import PREFIX, Metrics
from dataflows.metrics_catalogue import CATALOGUE, markdown
from dataflows.settings import Settings
from dataflows.settings_reader import load

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "roadwatch.json").read_text("utf-8"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
}
BIRTH = 1_700_000_000  # s since the epoch, when the made-up worker begins

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="install Debian's package prometheus for promtool")


def script(name: str) -> ModuleType:
    """One of the programs in deploy/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DEPLOY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_dashboard, pretend = script("check_dashboard"), script("pretend")
observe = script("observe")


def parsed(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text("utf-8"))


def alert_rules() -> list[dict[str, Any]]:
    return [rule for group in parsed("prometheus/rules.yml")["groups"] for rule in group["rules"]]


def series_names() -> set[str]:
    """Every name that a query may ask for."""
    names = {PREFIX + metric.name for metric in CATALOGUE if metric.kind != "histogram"} | PROCESS | {"up"}
    for metric in CATALOGUE:
        if metric.kind == "histogram":
            names |= {f"{PREFIX}{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:roadwatch|process)_\w+|\bup\b(?=[ {])", expression))


# -- rules and dashboard, by their text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert asked(rule["expr"])
    assert asked(rule["expr"]) <= series_names()
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")
    assert len(rule["annotations"]["runbook"]) > 80, "what happened, where to look, what to do"
    assert f"| {rule['alert']} | {rule['labels']['severity']} |" in OPERATIONS


def test_every_rule_is_tested() -> None:
    tests = (DEPLOY / "prometheus" / "rules.test.yml").read_text("utf-8")
    assert [rule["alert"] for rule in alert_rules() if f'alertname="{rule["alert"]}"' not in tests] == []


@pytest.mark.parametrize("panel", list(check_dashboard.panels(DASHBOARD)), ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_there_is_and_says_what_to_do(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "roadwatch-prometheus"}
    grid = panel["gridPos"]
    assert grid["x"] + grid["w"] <= 24
    for target in panel["targets"]:
        assert asked(target["expr"])
        assert asked(target["expr"]) <= series_names()
        chosen = 'cluster=~"$cluster",instance=~"$instance"'
        assert target["expr"].count("{") == target["expr"].count(chosen), "the choice at the top counts everywhere"


def expressions(title: str) -> list[str]:
    (panel,) = [panel for panel in check_dashboard.panels(DASHBOARD) if panel["title"] == title]
    return [target["expr"] for target in panel["targets"]]


def test_a_glance_leaves_out_no_worker_that_is_down_and_nothing_that_was_lost_before_the_first_scrape() -> None:
    (ready,) = expressions("Workers ready")
    assert "/ count(up{" in ready
    increase, total = expressions("Messages lost to retention")
    assert increase.startswith("sum(increase(roadwatch_lost_messages_total{")
    assert total.startswith("sum(roadwatch_lost_messages_total{")


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        mine = {(grid["x"] + i, grid["y"] + j) for i in range(grid["w"]) for j in range(grid["h"])}
        assert not mine & taken, panel["title"]
        taken |= mine
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_the_dashboard_has_its_rows_and_every_metric_with_its_advice() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "At a glance",
        "Traffic in",
        "Quality of input",
        "Detection",
        "Incidents",
        "Output and latency",
        "Resources",
    ]
    told = "\n".join(panel["description"] for panel in check_dashboard.panels(DASHBOARD))
    assert [metric.name for metric in CATALOGUE if f"{metric.says} {metric.do}" not in told] == []


def test_the_operators_page_has_every_metric() -> None:
    assert markdown().strip() in OPERATIONS, "make it anew: python -m dataflows.metrics_catalogue"


def test_grafana_finds_what_is_provisioned() -> None:
    (source,) = parsed("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    (provider,) = parsed("grafana/provisioning/dashboards/roadwatch.yaml")["providers"]
    volumes = parsed("compose.yaml")["services"]["grafana"]["volumes"]
    assert source["uid"] == "roadwatch-prometheus"
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in volumes
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in volumes


# -- image, compose, settings --------------------------------------------------------------------------------------------------


def images() -> Iterator[str]:
    yield from re.findall(r"(?m)^FROM (\S+)", CONTAINERFILE)
    yield from (service["image"] for service in parsed("compose.yaml")["services"].values())


def test_images_are_pinned_by_a_tag_that_has_a_version() -> None:
    for image in images():
        _, _, tag = image.partition(":")
        assert re.search(r"\d+\.\d+", tag), image


def test_the_image_ends_as_a_user_that_is_not_root() -> None:
    last = CONTAINERFILE.rpartition("\nFROM ")[2]
    users = re.findall(r"(?m)^USER (\S+)", last)
    assert users == ["10001:10001"], "a number, so that a scheduler can see that it is not root"
    assert last.index("USER ") > last.rindex("RUN ")
    assert "STOPSIGNAL SIGTERM" in last
    assert 'ENTRYPOINT ["roadwatch"]\nCMD ["run"]' in last, "exec form: the worker gets the signal, not a shell"
    assert "HEALTHCHECK" in last


def test_the_image_installs_by_hash_only() -> None:
    for line in re.findall(r"pip install ([^\n]*)", CONTAINERFILE):
        assert "--require-hashes" in line or "--no-deps /dist/" in line
    assert "--no-build-isolation" in CONTAINERFILE
    lock = (DEPLOY / "build.lock").read_text("utf-8")
    assert len(re.findall(r"(?m)^[a-z-]+==", lock)) == lock.count("--hash=sha256:")


def test_what_the_image_copies_is_there_and_let_through() -> None:
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").splitlines()
    for line in re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", CONTAINERFILE):
        for name in line.split():
            assert f"!{name}" in ignored
            assert (ROOT / name).exists(), name


def test_published_ports_are_on_loopback() -> None:
    for name, service in parsed("compose.yaml")["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} {port}"


def test_compose_is_whole() -> None:
    compose = parsed("compose.yaml")
    services = compose["services"]
    assert set(services) == {"kafka", "topics", "worker", "prometheus", "grafana"}
    assert services["topics"]["command"] == ["topics"]
    assert services["worker"]["command"] == ["run"]
    assert services["worker"]["stop_grace_period"] == "120s", "what docs/operations.md asks for before SIGKILL"
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service["networks"]) <= set(compose["networks"])
        for volume in service.get("volumes", ()):
            origin = volume.split(":")[0]
            there = (DEPLOY / origin).exists() if origin.startswith(".") else origin in compose["volumes"]
            assert there, f"{name}: {volume}"
    for needing in ("kafka", "prometheus", "grafana"):
        assert services[needing]["healthcheck"]["test"]
    (scrape,) = [job for job in parsed("prometheus/prometheus.yml")["scrape_configs"] if job["job_name"] == "roadwatch"]
    assert scrape["static_configs"] == [{"targets": ["worker:9464"], "labels": {"cluster": "main"}}]


def environments() -> list[dict[str, str]]:
    image = dict(re.findall(r"(ROADWATCH_\w+)=(\S+)", CONTAINERFILE))
    services = parsed("compose.yaml")["services"]
    return [image] + [services[name]["environment"] for name in ("topics", "worker")]


@pytest.mark.parametrize("environment", environments())
def test_the_environment_of_the_containers_is_understood(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("ROADWATCH_CONFIG", str(DEPLOY / "roadwatch.toml"))
    settings = load()
    assert settings.kafka.bootstrap_servers == environment.get("ROADWATCH_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    assert settings.alerts.status == "Test", "nobody is woken by an example"


def test_the_image_keeps_what_must_survive_in_its_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environments()[0].items():
        monkeypatch.setenv(name, value)
    settings = load()
    (volume,) = re.findall(r"(?m)^VOLUME (\S+)", CONTAINERFILE)
    assert settings.recovery.directory.is_relative_to(volume)
    assert settings.privacy.key_file.is_relative_to(volume)
    assert settings.metrics.port == 9464


def test_the_example_settings_are_understood_and_are_the_defaults_where_they_are_no_choice() -> None:
    settings = load(DEPLOY / "roadwatch.toml")
    assert settings.inputs == Settings().inputs
    live = {"max_behind": 60_000}  # not the default: a recording that is sent again has times long before the broker's
    assert settings.window == Settings().window.model_copy(update=live)


# -- with Prometheus ---------------------------------------------------------------------------------------------------------


def promtool(*arguments: str, directory: Path = DEPLOY / "prometheus") -> None:
    done = subprocess.run(["promtool", *arguments], cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "rules.yml")


@needs_promtool
def test_every_rule_fires_and_keeps_still() -> None:
    promtool("test", "rules", "rules.test.yml")


@needs_promtool
def test_the_page_is_good_style() -> None:
    page = life(seconds=1)[-1][1]
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


class Clock:
    now = float(BIRTH)

    def __call__(self) -> float:
        return self.now


def life(seconds: int) -> list[tuple[int, bytes]]:
    """The pages of a made-up worker, one every 15 s, with the second at which each was made."""
    clock = Clock()
    metrics = Metrics(clock=clock)
    health = Health(clock=clock)
    metrics.watch(health.ready, health.age)
    worker = pretend.PretendWorker(metrics, health)
    pages = []
    for second in range(seconds):
        clock.now = BIRTH + second
        worker.second(clock.now)
        if second % 15 == 0:
            pages.append((BIRTH + second, metrics.page()))
    return pages


def open_metrics(pages: list[tuple[int, bytes]]) -> str:
    """The pages as one history for promtool's backfill: each series with its values in order of time."""
    history: dict[str, list[str]] = {}
    for when, page in pages:
        for line in [*page.decode().splitlines(), "up 1"]:
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                name, brace, rest = series.partition("{")
                labelled = f'{name}{{job="roadwatch",instance="a"' + (f",{rest}" if brace else "}")
                history.setdefault(labelled, []).append(f"{labelled} {value} {when}")
    return "\n".join(line for lines in history.values() for line in lines) + "\n# EOF\n"


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="install Debian's package prometheus to ask it")
def test_every_question_of_the_dashboard_gets_an_answer(tmp_path: Path) -> None:
    pages = life(seconds=1800)
    (tmp_path / "history").write_text(open_metrics(pages), "utf-8")
    promtool("tsdb", "create-blocks-from", "openmetrics", "history", "store", directory=tmp_path)
    config = observe.CONFIG.format(rules=RULES, target="127.0.0.1:9")
    running, url = observe.start(shutil.which("prometheus"), tmp_path, config)
    try:
        answers = check_dashboard.check(check_dashboard.Prometheus(url, at=pages[-1][0]))
    finally:
        observe.stop(running)
    unanswered = [a for a in answers if a.question.where.startswith("panel") and a.outcome != "answered"]
    assert unanswered == []
    rules = {a.question.where: a.outcome for a in answers if a.question.where.startswith("rule")}
    assert len(rules) == len(alert_rules())
    holding = {where.removeprefix("rule ") for where, outcome in rules.items() if outcome != "quiet"}
    trouble = {"RoadwatchDetectorErrors", "RoadwatchDeliveryFailures", "RoadwatchMessagesLost", "RoadwatchPartitionUnreadable"}
    assert holding == trouble
