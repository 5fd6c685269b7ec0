"""Runs in Airflow's environment: one run of the DAG by `dag.test()`, without its waits. Prints its tasks as JSON.

Arguments: a file to write to, and the parameters as JSON.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

from airflow_dag import dag, new_span, run

new_span.timeout = new_span.poke_interval = 0
run.retries, run.retry_delay = 1, timedelta(seconds=0)
done = dag.test(run_conf=json.loads(sys.argv[2]))
tasks = {task.task_id: [task.state, task.try_number] for task in done.get_task_instances()}
Path(sys.argv[1]).write_text(json.dumps(tasks), encoding="utf-8")
