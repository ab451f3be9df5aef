"""Prometheus, which scrapes one target five times a second."""

import json
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import yaml

from tests.services.process import HOST, find_program
from tests.services.service import Server


class Prometheus(Server):
    """A server that scrapes `target` (host:port) as `job` and loads rule files."""

    def __init__(self, folder: Path, target: str, job: str, *rule_files: Path) -> None:
        super().__init__(folder)
        self.config = {
            "global": {
                "scrape_interval": "200ms",
                "scrape_timeout": "200ms",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [],
        }
        self.scrape(target, job)

    def scrape(self, target: str, job: str) -> None:
        """Add a target, before the start."""
        found = [{"targets": [target]}]
        self.config["scrape_configs"].append({"job_name": job, "static_configs": found})

    def command(self) -> list[str | Path]:
        config = self.folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(self.config))
        return [
            find_program("prometheus", "prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def ready(self) -> bool:
        url = f"http://{HOST}:{self.port}/-/ready"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path: str, **parameters: str):
        """Return data from the HTTP API, such as `ask("label/__name__/values")`."""
        url = f"http://{HOST}:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[float]:
        """Return the current values of an expression, one for each series."""
        result = self.ask("query", query=expression)["result"]
        return [float(series["value"][1]) for series in result]
