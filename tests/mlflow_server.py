"""A tracking server of MLflow, as far as a logger uses its REST API: https://mlflow.org/docs/latest/rest-api.html."""

import base64
import json
import threading
import uuid
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class TrackingServer(ThreadingHTTPServer):
    """Has experiments and runs in memory.

    Attributes:
        runs: by id, with `info`, `params`, `metrics` (a list for each), `tags` and `artifacts`.
        users: of the requests, as "name:password".
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.experiments, self.runs, self.users = {}, {}, set()

    def answer(self, call, sent):
        return getattr(self, f"_{call.replace('/', '_').replace('-', '_')}")(sent)

    def _experiments_get_by_name(self, sent):
        if (found := self.experiments.get(sent["experiment_name"])) is None:
            raise LookupError
        return {"experiment": found}

    def _experiments_create(self, sent):
        number = str(len(self.experiments) + 1)
        self.experiments[sent["name"]] = {
            "experiment_id": number,
            "name": sent["name"],
            "artifact_location": f"mlflow-artifacts:/{number}",
            "lifecycle_stage": "active",
        }
        return {"experiment_id": number}

    def _runs_create(self, sent):
        run_id = uuid.uuid4().hex  # the client remembers where artifacts of one go
        about = {"run_id": run_id, "run_uuid": run_id, "experiment_id": sent["experiment_id"], "status": "RUNNING"}
        about |= {"artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts", "lifecycle_stage": "active"}
        self.runs[run_id] = {
            "info": about,
            "params": {},
            "metrics": defaultdict(list),
            "tags": {tag["key"]: tag["value"] for tag in sent["tags"]},
            "artifacts": {},
        }
        return self._runs_get({"run_id": run_id})

    def _runs_get(self, sent):
        run = self.runs[sent["run_id"]]
        pairs = {name: [{"key": k, "value": v} for k, v in run[name].items()] for name in ("params", "tags")}
        return {"run": {"info": run["info"], "data": pairs}}

    def _runs_update(self, sent):
        info = self.runs[sent["run_id"]]["info"]
        info |= {key: sent[key] for key in ("status", "end_time") if key in sent}
        return {"run_info": info}

    def _runs_log_batch(self, sent):
        run = self.runs[sent["run_id"]]
        run["params"] |= {param["key"]: param["value"] for param in sent.get("params", ())}
        for metric in sent.get("metrics", ()):
            run["metrics"][metric["key"]].append((int(metric.get("step", 0)), metric["value"]))
        return {}

    def _runs_set_tag(self, sent):
        self.runs[sent["run_id"]]["tags"][sent["key"]] = sent["value"]
        return {}

    def _metrics_get_history(self, sent):
        points = self.runs[sent["run_id"]]["metrics"][sent["metric_key"]]
        rows = [{"key": sent["metric_key"], "value": v, "step": step, "timestamp": 0} for step, v in points]
        return {"metrics": rows}


class _Handler(BaseHTTPRequestHandler):
    def _serve(self):
        place, body = urlsplit(self.path), self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if authorization := self.headers.get("Authorization"):
            self.server.users.add(base64.b64decode(authorization.partition(" ")[2]).decode())
        status, content = 200, {}
        if place.path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            _, run_id, _, name = place.path.removeprefix("/api/2.0/mlflow-artifacts/artifacts/").split("/", 3)
            self.server.runs[run_id]["artifacts"][name] = body
        elif place.path.startswith("/api/2.0/mlflow/"):
            sent = json.loads(body) if body else {key: value[0] for key, value in parse_qs(place.query).items()}
            try:
                content = self.server.answer(place.path.removeprefix("/api/2.0/mlflow/"), sent)
            except LookupError:
                status, content = 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "there is none"}
        else:
            status = 404
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        text = json.dumps(content).encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815  # as http.server calls them

    def log_message(self, *_):
        pass


@contextmanager
def serve():
    """A server in a thread, and its address; `stop` of it ends the connections, too."""
    server = TrackingServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    stopped = threading.Event()

    def stop():
        if not stopped.is_set():
            stopped.set()
            server.shutdown()
            server.server_close()
            thread.join()

    server.stop = stop
    try:
        yield server, f"127.0.0.1:{server.server_port}"
    finally:
        stop()
