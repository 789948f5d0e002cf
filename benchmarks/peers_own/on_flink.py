"""The job on PyFlink: SQL over Flink's Kafka connector, the cell by a Python function in thread mode."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from pathlib import Path

from job import LATENESS, RESOLUTION, WINDOW, Job, say
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import ScalarFunction, udf

TICKS = os.sysconf("SC_CLK_TCK")


class Cell(ScalarFunction):
    """Runs inside the JVM's Python; notes when the first message came, since nobody else sees it."""

    def __init__(self, note):
        self.note = note

    def open(self, context):
        from h3.api.basic_int import latlng_to_cell

        self.cell, self.noted = latlng_to_cell, False

    def eval(self, lat, lon):
        if not self.noted:
            self.noted = True
            Path(self.note).write_text(f"{time.time()} {time.process_time()} {os.getpid()}")
        return self.cell(lat, lon, RESOLUTION)


def main():
    job = Job.asked()
    note, out = Path(job.folder) / "first", Path(job.folder) / "out"
    flink = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in {
        "pipeline.jars": f"file://{os.environ['JARS']}",
        "python.executable": sys.executable,
        "python.pythonpath": sysconfig.get_path("purelib"),  # the Python inside the JVM does not know that it is in a venv
        "python.execution-mode": "thread",
        "parallelism.default": "2",
        "pipeline.object-reuse": "true",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "1 s",
        "table.exec.mini-batch.size": "5000",
    }.items():
        flink.get_config().set(key, value)
    flink.create_temporary_function("cell", udf(Cell(str(note)), result_type=DataTypes.BIGINT()))
    flink.execute_sql(f"""
        CREATE TABLE seen (
            ts BIGINT, lat DOUBLE, lon DOUBLE, v DOUBLE, ev INT,
            happened AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR happened AS happened - INTERVAL '{LATENESS // 1000}' SECOND
        ) WITH (
            'connector' = 'kafka', 'topic' = '{job.topic}', 'properties.bootstrap.servers' = '{job.broker}',
            'properties.group.id' = '{job.group}', 'properties.fetch.max.wait.ms' = '20',
            'properties.max.poll.records' = '5000', 'scan.startup.mode' = 'earliest-offset',
            'scan.bounded.mode' = 'specific-offsets', 'scan.bounded.specific-offsets' = 'partition:0,offset:{job.count}',
            'format' = 'json'
        )""")
    flink.execute_sql("CREATE TEMPORARY VIEW placed AS SELECT cell(lat, lon) AS cell, v, ev, happened FROM seen")
    flink.execute_sql(f"""
        CREATE TABLE sums (n BIGINT, v DOUBLE, ev BIGINT, cell BIGINT, happened TIMESTAMP_LTZ(3))
        WITH ('connector' = 'filesystem', 'path' = 'file://{out}', 'format' = 'csv')""")
    flink.execute_sql(f"""
        INSERT INTO sums SELECT COUNT(*), SUM(v), SUM(COALESCE(ev, 0)), cell, MIN(window_start)
        FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(happened), INTERVAL '{WINDOW // 1000}' SECOND))
        GROUP BY cell, window_start, window_end""").wait()
    begun, spent, jvm = note.read_text().split()
    written = [each for each in out.rglob("*") if each.is_file()]
    last = max(each.stat().st_mtime for each in written)
    times = Path(f"/proc/{jvm}/stat").read_text().rsplit(")", 1)[1].split()
    cpu = (int(times[11]) + int(times[12])) / TICKS - float(spent)
    rows = [line.split(",") for each in written for line in each.read_text().splitlines()]
    span = {"seconds": last - float(begun), "cpu": cpu}
    say(span, len(rows), sum(int(row[0]) for row in rows), sum(int(row[2]) for row in rows))


main()
