"""JupyterHub on one machine for one course: each person has an account there, one of them grades.

    sudo /opt/course-env/bin/jupyterhub -f jupyterhub_config.py

Read "Running a class" in the book first. The class folder holds roster.csv; its ids are the account names.
"""

import csv
import os
import sys
from pathlib import Path

TEACHER = os.environ.get("COURSE_TEACHER", "teacher")  # the account that grades
CLASS = Path(os.environ.get("COURSE_CLASS", f"/home/{TEACHER}/class"))
STATE = Path(os.environ.get("COURSE_STATE", "/srv/jupyterhub"))  # the hub's own files, readable by root alone

with (CLASS / "roster.csv").open(encoding="utf-8-sig", newline="") as file:
    students = {row["id"] for row in csv.DictReader(file)}

c = get_config()  # type: ignore[name-defined]  # noqa: F821  JupyterHub defines it

c.JupyterHub.bind_url = os.environ.get(
    "COURSE_URL", "http://127.0.0.1:8000"
)  # a proxy with HTTPS in front of it
c.JupyterHub.db_url = f"sqlite:///{STATE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")

c.JupyterHub.authenticator_class = "pam"  # the accounts and passwords of this machine
c.Authenticator.allowed_users = students | {TEACHER}

c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"  # each server runs as its own account
c.Spawner.cmd = [str(Path(sys.executable).parent / "jupyterhub-singleuser")]
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    "NNLIB_DATA": "/srv/course-data",  # the files of data/mnist, readable by all
    "OPENBLAS_NUM_THREADS": "1",  # thirty students share the processors
    "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
}
c.JupyterHub.services = [
    {"name": "stop-idle", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
]
c.JupyterHub.load_roles = [
    {
        "name": "stop-idle",
        "services": ["stop-idle"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
