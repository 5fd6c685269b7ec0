"""An Airflow 3 DAG that trains on new spans every day: copy this file into Airflow's DAGs folder.

`new_span` waits for a span that the last run did not finish with, and skips the day if none arrives. `run` then calls
`easel run`, whose exit codes become states of the task:

- 0: success;
- 1: failed, and retried;
- 3: skipped, and so is what depends on it: a model was not blessed and nothing was pushed;
- 2 and 4: failed without a retry: wrong use, or data that have drifted, which a person must look at.

Airflow needs no part of Easel in its own environment, only the command, which the parameter `easel` names.
"""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

SPAN = re.compile(r"span-(\d+)")
NOT_BLESSED = 3
FINAL = (2, 4)


def has_new_span(easel: str, data: str, root: str) -> bool:
    """Whether the newest span of a folder is one that the last run in a root did not finish with."""
    spans = {int(name[1]): name[0] for path in Path(data).iterdir() if (name := SPAN.fullmatch(path.name))}
    command = [easel, "runs", "show", "latest", "--root", root, "--json"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if not spans or shown.returncode:
        return bool(spans)
    last = json.loads(shown.stdout)
    return last["state"] != "done" or spans[max(spans)] not in last["data"].get("spans", "").split()


class EaselRun(BashOperator):
    """A command of Easel whose exit codes become states of the task; its last line is the reason."""

    def execute(self, context: Any) -> None:
        """Run it, and stop it with the task."""
        command = ["bash", "-c", self.bash_command]
        done = self.subprocess_hook.run_command(command, env=self.get_env(context), cwd=self.cwd)
        if done.exit_code == NOT_BLESSED:
            raise AirflowSkipException(done.output)
        if done.exit_code:
            raise (AirflowFailException if done.exit_code in FINAL else AirflowException)(done.output)


with DAG(
    "easel_spans",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "easel": Param("/srv/easel/.venv/bin/easel", type="string", description="The command."),
        "data": Param("/srv/easel/data/mine", type="string", description="The folder of spans."),
        "root": Param("/srv/easel/work", type="string", description="The folder that keeps the runs."),
        "options": Param("", type="string", description="More options of `easel run`, such as --profile brief."),
    },
) as dag:
    new_span = PythonSensor(
        task_id="new_span",
        python_callable=has_new_span,
        op_args=["{{ params.easel }}", "{{ params.data }}", "{{ params.root }}"],
        mode="reschedule",
        poke_interval=timedelta(minutes=10),
        timeout=timedelta(hours=20),
        soft_fail=True,
    )
    run = EaselRun(
        task_id="run",
        bash_command='"$EASEL" run --data "$DATA" --root "$ROOT" --json $OPTIONS',
        env={name.upper(): f"{{{{ params.{name} }}}}" for name in ("easel", "data", "root", "options")},
        append_env=True,
        retries=3,
        retry_delay=timedelta(minutes=10),
    )
    new_span >> run
