"""What stands before the pod: nginx with its defaults, as an ingress controller has them.

Where nginx is not installed, Locust talks to the pod itself, so that an unready pod still gets requests:
the share of failures is then lower than behind a proxy. The results say which of the two it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .pod import Machine, free_port, wait_until_listening

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
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            # An unready pod is no endpoint of the service; without endpoints the controller answers 503.
            if (!-f {folder}/ready) {{ return 503; }}
            proxy_pass http://pod;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def nginx() -> str | None:
    """The path of nginx; None where it is not installed."""
    # Debian installs it where only root looks.
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")


class Ingress:
    """nginx before the pod on `pod_port`; without nginx `port` is the pod's own."""

    def __init__(self, folder: Path, pod_port: int, machine: Machine) -> None:
        self._nginx = nginx()
        self._folder = folder
        self._machine = machine
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port() if self._nginx else pod_port
        self._pod_port = pod_port

    def set_ready(self, ready: bool) -> None:
        """Send requests to the pod, or answer 503 for it."""
        flag = self._folder / "ready"
        if ready:
            flag.touch()
        else:
            flag.unlink(missing_ok=True)

    def start(self) -> None:
        if self._nginx is None:
            return
        configuration = self._folder / "nginx.conf"
        text = _CONFIGURATION.format(folder=self._folder, port=self.port, pod=self._pod_port)
        configuration.write_text(text, encoding="utf-8")
        cpus = ",".join(map(str, self._machine.other_cpus))
        command = [
            "taskset",
            "--cpu-list",
            cpus,
            self._nginx,
            "-p",
            str(self._folder),
            "-c",
            str(configuration),
        ]
        # Before it has read the configuration, nginx logs to a place that only root may write to.
        command += ["-e", str(self._folder / "error.log")]
        with (self._folder / "nginx.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until_listening(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
