"""A stand-in for the API of a cluster: what kubectl asks for, and objects in memory.

No cluster runs on a test machine. This one keeps what is applied, gives a Deployment
its revisions, lets Jobs end and Pods run commands, and remembers what was asked. It
checks no schema: kubernetes-validate does.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import base64
import copy
import hashlib
import json
import re
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.services.process import HOST
from tests.services.service import Service

KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "replicasets": "ReplicaSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"cronjobs": "CronJob", "jobs": "Job"},
    "networking.k8s.io/v1": {
        "ingresses": "Ingress",
        "networkpolicies": "NetworkPolicy",
    },
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
SHORT = {"horizontalpodautoscalers": ["hpa"]}
REVISION = "deployment.kubernetes.io/revision"
COMPONENT = "app.kubernetes.io/component"
PATH = re.compile(
    r"/apis?/(?P<version>v1|[\w.]+/\w+)/namespaces/(?P<namespace>[\w-]+)"
    r"/(?P<kind>\w+)(?:/(?P<name>[\w.-]+))?(?:/(?P<part>\w+))?"
)
CONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{url}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{token: test}}}}]
current-context: test
"""


class Cluster(Service):
    """An API server without authentication, and a kubeconfig that names it.

    `failing` names the components whose pods do not become ready, or whose Job fails;
    `waiting` those whose pods cannot start. `changes` has a line for each request that
    changes something, `commands` the command lines that were run in pods.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects: dict[tuple[str, str, str], dict] = {}
        self.changes: list[str] = []
        self.commands: list[tuple[str, str]] = []
        self.failing: set[str] = set()
        self.waiting: set[str] = set()
        self.config = self.folder / "kubeconfig"
        self.config.write_text(CONFIG.format(url=f"http://{HOST}:{self.port}"))

    def start(self) -> None:
        handler = type("Handler", (Handler,), {"cluster": self})
        self.server = ThreadingHTTPServer((HOST, self.port), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def find(self, kind: str, namespace: str, selector: str = "") -> list[dict]:
        """Return the objects of a kind, such as `deployments`, that have the labels."""
        found = [
            item
            for (a_kind, a_namespace, _), item in sorted(self.objects.items())
            if (a_kind, a_namespace) == (kind, namespace)
        ]
        return [item for item in found if matches(item, selector)]

    def put(self, kind: str, namespace: str, item: dict) -> dict:
        """Keep an object, and do what the controllers of a cluster would do."""
        item = copy.deepcopy(item)
        meta = item["metadata"]
        meta |= {"namespace": namespace, "uid": meta["name"]}
        self.objects[kind, namespace, meta["name"]] = item
        if kind in ("deployments", "replicasets"):
            item["spec"].setdefault("replicas", 1)
        if kind == "deployments":
            self.roll(namespace, item)
        if kind == "jobs":
            component = meta["labels"][COMPONENT]
            end = "Failed" if component in self.failing else "Complete"
            if component not in self.waiting:
                item["status"] = {"conditions": [{"type": end, "status": "True"}]}
            labels = {"job-name": meta["name"]}
            item["spec"]["selector"] = {"matchLabels": labels}
            item["spec"]["template"]["metadata"]["labels"] |= labels
            self.start_pod(namespace, meta["name"], item["spec"]["template"])
        return item

    def roll(self, namespace: str, item: dict) -> None:
        """Give a Deployment the ReplicaSet of its template, as the newest revision."""
        name, template = item["metadata"]["name"], item["spec"]["template"]
        text = json.dumps(template, sort_keys=True).encode()
        digest = hashlib.sha256(text).hexdigest()[:10]
        owned = self.find("replicasets", namespace, f"{COMPONENT}={name}")
        newest = max((int(annotations(one)[REVISION]) for one in owned), default=0)
        known = [one for one in owned if one["metadata"]["name"] == f"{name}-{digest}"]
        if known and annotations(known[0])[REVISION] == str(newest):
            revision = newest
        else:
            revision = newest + 1
            labels = template["metadata"]["labels"] | {"pod-template-hash": digest}
            owner = {"kind": "Deployment", "name": name, "uid": name}
            owner |= {"apiVersion": "apps/v1", "controller": True}
            meta = {"name": f"{name}-{digest}", "labels": labels}
            meta |= {"annotations": annotations(item) | {REVISION: str(revision)}}
            meta |= {"ownerReferences": [owner]}
            labelled = copy.deepcopy(template)
            labelled["metadata"]["labels"] = labels
            spec = item["spec"] | {"template": labelled}
            copied = {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
            self.put(
                "replicasets", namespace, copied | {"metadata": meta, "spec": spec}
            )
        item["metadata"].setdefault("annotations", {})[REVISION] = str(revision)
        item["metadata"]["generation"] = revision
        self.start_pod(namespace, name, template)
        is_stuck = name in self.failing
        reason = "ProgressDeadlineExceeded" if is_stuck else "NewReplicaSetAvailable"
        count = 0 if is_stuck else 1
        item["status"] = {
            "observedGeneration": revision,
            "replicas": 1,
            "updatedReplicas": count,
            "availableReplicas": count,
            "conditions": [
                {"type": "Progressing", "status": "False", "reason": reason}
            ],
        }

    def start_pod(self, namespace: str, name: str, template: dict) -> None:
        labels = template["metadata"]["labels"]
        container = template["spec"]["containers"][0]["name"]
        state: dict = {"running": {}}
        if labels[COMPONENT] in self.waiting:
            missing = {"message": 'secret "secrets" not found'}
            state = {"waiting": {"reason": "CreateContainerConfigError"} | missing}
        status = {"name": container, "ready": True, "state": state}
        meta = {"name": f"{name}-pod", "labels": labels}
        ready = {"type": "Ready", "status": "True"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
        pod |= {"spec": template["spec"]}
        pod["status"] = {"phase": "Running", "conditions": [ready]}
        pod["status"]["containerStatuses"] = [status]
        self.put("pods", namespace, pod)


def annotations(item: dict) -> dict[str, str]:
    return item["metadata"].get("annotations", {})


def matches(item: dict, selector: str) -> bool:
    """Tell whether labels satisfy `a=b`, `!a` and several of these with commas."""
    labels = item["metadata"].get("labels", {})
    for term in filter(None, selector.split(",")):
        name, equals, value = term.partition("=")
        if name.startswith("!"):
            if name[1:] in labels:
                return False
        elif equals and labels.get(name) != value.lstrip("="):
            return False
    return True


def merge(old, new):
    """Apply a strategic merge patch: lists of named objects are merged by name.

    https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
    """
    if isinstance(new, dict):
        merged = dict(old) if isinstance(old, dict) else {}
        for key, value in new.items():
            if value is None:
                merged.pop(key, None)
            elif not key.startswith("$"):
                merged[key] = merge(merged.get(key), value)
        return merged
    if isinstance(new, list) and all(isinstance(item, dict) for item in new):
        key = next((key for key in ("name", "mountPath") if has(new, key)), "")
        if key and isinstance(old, list) and has(old, key):
            items = {item[key]: item for item in old}
            for item in new:
                if item.get("$patch") == "delete":
                    items.pop(item[key], None)
                else:
                    items[item[key]] = merge(items.get(item[key]), item)
            return list(items.values())
    return new


def has(items: list[dict], key: str) -> bool:
    return bool(items) and all(key in item for item in items)


class Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        if match := PATH.fullmatch(place.path):
            self.read(match, query)
        elif (answer := describe(place.path)) is not None:
            self.answer(200, answer)
        else:
            self.refuse(404, "NotFound")

    def read(self, match: re.Match, query: dict[str, str]) -> None:
        kind, name = match["kind"], match["name"]
        if match["part"] == "exec":
            self.execute(name, parse_qs(urlsplit(self.path).query)["command"])
        elif match["part"] == "log":
            self.answer(200, f"log of {name}\n".encode())
        elif name:
            item = self.cluster.objects.get((kind, match["namespace"], name))
            self.answer(200, item) if item else self.refuse(404, "NotFound")
        else:
            selector = query.get("labelSelector", "")
            if "fieldSelector" in query:
                selector = ""
            items = self.cluster.find(kind, match["namespace"], selector)
            if field := query.get("fieldSelector"):
                wanted = field.partition("=")[2]
                items = [one for one in items if one["metadata"]["name"] == wanted]
            kind_name = KINDS[match["version"]][kind]
            if "watch" in query:
                # The state now, and that this was all.
                done = {"k8s.io/initial-events-end": "true"}
                meta = {"resourceVersion": "1", "annotations": done}
                mark = {"apiVersion": match["version"], "kind": kind_name}
                events = [{"type": "ADDED", "object": item} for item in items]
                events.append({"type": "BOOKMARK", "object": mark | {"metadata": meta}})
                lines = [json.dumps(event).encode() + b"\n" for event in events]
                self.answer(200, b"".join(lines))
            else:
                listed = {"apiVersion": match["version"], "kind": f"{kind_name}List"}
                meta = {"metadata": {"resourceVersion": "1"}}
                self.answer(200, listed | meta | {"items": items})

    def execute(self, name: str, command: list[str]) -> None:
        """Say over a WebSocket that a command ended well, with its line as the output.

        https://kubernetes.io/docs/reference/using-api/websockets/
        """
        line = " ".join(command)
        self.cluster.commands.append((name, line))
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest())  # noqa: S324
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        self.end_headers()
        end = {"metadata": {}, "status": "Success"}
        for channel, text in ((1, f"{line}\n"), (3, json.dumps(end))):
            payload = bytes([channel]) + text.encode()
            self.wfile.write(b"\x82\x7e" + struct.pack("!H", len(payload)) + payload)
        self.wfile.write(b"\x88\x02\x03\xe8")
        self.wfile.flush()
        self.close_connection = True

    def do_POST(self) -> None:
        match, body = self.receive()
        item = json.loads(body)
        self.note("create", match["kind"], item["metadata"]["name"])
        self.answer(201, self.cluster.put(match["kind"], match["namespace"], item))

    def do_PATCH(self) -> None:
        match, body = self.receive()
        key = (match["kind"], match["namespace"], match["name"])
        old = self.cluster.objects.get(key)
        patch = json.loads(body)
        if self.headers["Content-Type"] == "application/json-patch+json":
            new = copy.deepcopy(old)
            for change in patch:
                target, *steps = new, *change["path"].strip("/").split("/")
                for step in steps[:-1]:
                    target = target.setdefault(step, {})
                target[steps[-1].replace("~1", "/")] = change["value"]
        else:
            new = merge(old, patch)
        self.note("change" if old else "create", match["kind"], match["name"])
        self.answer(200, self.cluster.put(match["kind"], match["namespace"], new))

    def do_DELETE(self) -> None:
        match, _ = self.receive()
        key = (match["kind"], match["namespace"], match["name"])
        if item := self.cluster.objects.pop(key, None):
            self.note("delete", match["kind"], match["name"])
            self.answer(200, item)
        else:
            self.refuse(404, "NotFound")

    def receive(self) -> tuple[re.Match, bytes]:
        match = PATH.fullmatch(urlsplit(self.path).path)
        assert match, self.path
        return match, self.rfile.read(int(self.headers["Content-Length"] or 0))

    def note(self, verb: str, kind: str, name: str) -> None:
        self.cluster.changes.append(f"{verb} {kind}/{name}")

    def answer(self, status: int, content: dict | bytes) -> None:
        is_text = isinstance(content, bytes)
        body = content if is_text else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, reason: str) -> None:
        failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
        self.answer(status, failure | {"reason": reason, "code": status})

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


def describe(path: str) -> dict | None:
    """Return what discovery says at a path, or None.

    https://kubernetes.io/docs/concepts/overview/kubernetes-api/
    """
    paths = {
        version: f"{'apis' if '/' in version else 'api'}/{version}" for version in KINDS
    }
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [describe_group(version) for version in KINDS if "/" in version]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path == "/openapi/v3":
        links = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}"}
            for name in paths.values()
        }
        return {"paths": links}
    for version, name in paths.items():
        if path == f"/{name}":
            return describe_kinds(version)
        if path == f"/openapi/v3/{name}":
            return describe_patches(version)
    return None


def describe_group(version: str) -> dict:
    group, _, short = version.partition("/")
    one = {"groupVersion": version, "version": short}
    return {"name": group, "versions": [one], "preferredVersion": one}


def describe_kinds(version: str) -> dict:
    resources = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "shortNames": SHORT.get(plural, []),
            "namespaced": True,
            "kind": kind,
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        }
        for plural, kind in KINDS[version].items()
    ]
    listed = {"kind": "APIResourceList", "apiVersion": "v1"}
    return listed | {"groupVersion": version, "resources": resources}


def describe_patches(version: str) -> dict:
    """Say that the server validates what is sent: kubectl then does not."""
    group, _, short = version.rpartition("/")
    patches = {}
    for plural, kind in KINDS[version].items():
        named = {"group": group, "version": short, "kind": kind}
        parameters = [{"name": "fieldValidation", "in": "query"}]
        patch = {"x-kubernetes-group-version-kind": named, "parameters": parameters}
        patches[f"/{plural}/{{name}}"] = {"patch": patch}
    return {"openapi": "3.0.0", "info": {}, "paths": patches}
