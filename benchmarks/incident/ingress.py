"""What stands before the pod: the front of `front.py`, or nginx where it is there and asked for.

Both have the limits of ingress-nginx (`front.py` says where they are documented), and both answer 503 while
the pod is not ready. nginx tries its only server once where the controller, and `front.py`, try three times:
with one pod that matters only while nothing listens. The results say which of the two it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .pod import HERE, Machine, free_port, wait_until_listening

_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream pod {{
        # One pod: there is no other to try, and nothing to mark as failed.
        server 127.0.0.1:{pod} max_fails=0;
        keepalive 320;
        keepalive_timeout 60s;
        keepalive_requests 10000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            # An unready pod is no endpoint of the service; without endpoints the controller answers 503.
            if (!-f {folder}/ready) {{ return 503; }}
            proxy_pass http://pod;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 5s;
            proxy_read_timeout 60s;
            proxy_send_timeout 60s;
            proxy_next_upstream error timeout;
            proxy_next_upstream_tries 3;
        }}
    }}
}}
"""


EMBEDDED, NGINX = "embedded", "nginx"
FRONTS = (EMBEDDED, NGINX)


def nginx() -> str | None:
    """The path of nginx; None where it is not installed."""
    # Debian installs it where only root looks.
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")


class Ingress:
    """The front named `kind` before the pod on `pod_port`, listening on `port` once it is started."""

    def __init__(self, folder: Path, pod_port: int, machine: Machine, kind: str) -> None:
        self._folder = folder
        self._machine = machine
        self._kind = kind
        self._process: subprocess.Popen[bytes] | None = None
        self._pod_port = pod_port
        self.port = free_port()

    def set_ready(self, ready: bool) -> None:
        """Send requests to the pod, or answer 503 for it."""
        flag = self._folder / "ready"
        if ready:
            flag.touch()
        else:
            flag.unlink(missing_ok=True)

    def start(self) -> None:
        command = self._nginx() if self._kind == NGINX else self._embedded()
        cpus = ",".join(map(str, self._machine.other_cpus))
        with (self._folder / "front.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", cpus, *command], cwd=HERE.parents[1], stdout=log, stderr=log
            )
        wait_until_listening(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _embedded(self) -> list[str]:
        ports = ["--port", str(self.port), "--pod-port", str(self._pod_port)]
        return [
            sys.executable,
            "-m",
            "benchmarks.incident.front",
            *ports,
            "--ready",
            str(self._folder / "ready"),
        ]

    def _nginx(self) -> list[str]:
        program = nginx()
        if program is None:
            raise FileNotFoundError("nginx is not installed")
        configuration = self._folder / "nginx.conf"
        text = _CONFIGURATION.format(folder=self._folder, port=self.port, pod=self._pod_port)
        configuration.write_text(text, encoding="utf-8")
        # Before it has read the configuration, nginx logs to a place that only root may write to.
        return [
            program,
            "-p",
            str(self._folder),
            "-c",
            str(configuration),
            "-e",
            str(self._folder / "error.log"),
        ]
