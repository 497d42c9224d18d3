"""The server in its own process: the protocol, hostile input, new versions under load."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.common.errors import UserError
from pipelines.cli.main import run
from tests.support.server_process import Server, serving
from tests.support.tiny.captioner import encode, png_header, smooth_image

PREDICT = "/v1/models/captioner:predict"
KEY = "a secret"


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


JPEG = encode(smooth_image(0))
BODY = {"inputs": [b64(JPEG)]}
SAMPLED = {
    "signature_name": "sample",
    "instances": [{"image_bytes": b64(JPEG), "temperature": 1, "top_p": 5, "top_k": 0, "seed": 0}],
}
BOMB = png_header(50_000, 50_000)
HTML = b"<!DOCTYPE html><title>404</title>"


@pytest.fixture(scope="module")
def server(captioner_folder: Path) -> Iterator[Server]:
    limits = ("--max-body-mib", 1, "--read-timeout", 4, "--max-connections", 40)
    with serving(captioner_folder, *limits) as server:
        yield server.ready()


def test_answers_are_those_of_the_saved_model(server: Server, captioner_folder: Path) -> None:
    pictures = [encode(smooth_image(number)) for number in range(3)]
    loaded = tf.saved_model.load(str(captioner_folder / "1"))
    expected = loaded.signatures["serving_default"](tf.constant(pictures))
    captions = [caption.decode() for caption in expected["caption"].numpy()]
    rows = server.ask(PREDICT, {"instances": [b64(each) for each in pictures]})
    assert rows[0] == 200
    assert [row["caption"] for row in rows[2]["predictions"]] == captions
    columns = server.ask(
        "/v1/models/captioner/versions/1:predict",
        {"inputs": {"image_bytes": [*map(b64, pictures)]}},
    )[2]["outputs"]
    assert columns["caption"] == captions
    np.testing.assert_allclose(columns["attention"], expected["attention"], atol=1e-5)


@pytest.mark.parametrize("signature", ["serving_default", "greedy", "sample"])
def test_the_sample_requests_are_answered(
    server: Server, captioner_folder: Path, signature: str
) -> None:
    found = []
    for form in ("instances", "inputs"):
        body = (captioner_folder / "requests" / f"{signature}-{form}.json").read_bytes()
        status, _, answer = server.ask(PREDICT, body)
        assert status == 200
        found.append(answer)
    rows = [row["captions"] for row in found[0]["predictions"]]
    assert rows == found[1]["outputs"]["captions"]


def test_status_and_metadata_have_the_form_of_tensorflow_serving(server: Server) -> None:
    status = server.ask("/v1/models/captioner")[2]["model_version_status"]
    assert status[0]["version"] == "1" and status[0]["state"] == "AVAILABLE"
    metadata = server.ask("/v1/models/captioner/versions/1/metadata")[2]
    assert metadata["model_spec"] == {"name": "captioner", "signature_name": "", "version": "1"}
    inputs = metadata["metadata"]["signature_def"]["signature_def"]["greedy"]["inputs"]
    assert inputs["image_bytes"]["dtype"] == "DT_STRING"
    assert inputs["image_bytes"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (PREDICT, b"{", 400, "JSON Parse error"),
        (PREDICT, {}, 400, "Missing 'inputs'"),
        (PREDICT, {"inputs": "a", "signature_name": "no"}, 400, '"no" not found in signature def'),
        (PREDICT, {"inputs": [["a"]]}, 400, "must have the shape"),
        (PREDICT, {"inputs": [{"b64": "?"}]}, 400, "Unable to base64 decode"),
        (PREDICT, {"instances": ["a"] * 10_000}, 400, "10,000 rows, the limit is 32"),
        (PREDICT, {"instances": []}, 400, "No values in 'instances'"),
        (PREDICT, {"inputs": []}, 400, "no rows"),
        (PREDICT, SAMPLED, 400, "^top_p must be > 0 and <= 1, not 5$"),
        (PREDICT, {"inputs": [b64(HTML)]}, 400, "a web page"),
        (PREDICT, {"inputs": [b64(b"")]}, 400, "file is empty"),
        (PREDICT, {"inputs": [b64(JPEG[:300])]}, 400, "truncated or damaged"),
        (PREDICT, {"inputs": [b64(BOMB)]}, 413, "50,000 × 50,000 pixels"),
        (PREDICT, b" " * (2**20 + 1), 413, "the limit is 1 MiB"),
        ("/v1/models/captioner:classify", {}, 501, "Only predict"),
        ("/v1/models/captioner/versions/7:predict", BODY, 404, r"Specific\(captioner, 7\)"),
        ("/v1/models/other:predict", BODY, 404, r"Latest\(other\)"),
        ("/v1/models/..%2f..%2fetc:predict", BODY, 400, "Malformed request"),
        ("/v1/models/%2e%2e:predict", BODY, 404, "not found"),
        ("/v1/models/captioner/versions/x:predict", BODY, 400, "Malformed request"),
        ("/v1/models/captioner", BODY, 400, "Malformed request"),
        ("/wordreel/models/captioner/frames", b"clip", 400, "does not take clips"),
        ("/nothing", BODY, 404, "Malformed request"),
        ("/v1", BODY, 404, "Malformed request"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(
    server: Server, path: str, body: Any, status: int, error: str
) -> None:
    got, _, answer = server.ask(path, body)
    assert got == status, answer
    assert list(answer) == ["error"]
    assert re.search(error, answer["error"]), answer


def test_an_invalid_row_does_not_fail_the_others(server: Server) -> None:
    # An image followed by a script is an image; a script followed by an image is not.
    rows = [JPEG + HTML, HTML + JPEG, b"", encode(smooth_image(1), "PNG")]
    answer = server.ask(PREDICT, {"instances": [b64(each) for each in rows]})[2]
    assert [row["valid"] for row in answer["predictions"]] == [True, False, False, True]


def test_bytes_that_are_not_http_are_refused_as_json(server: Server) -> None:
    for text in (b"\x16\x03\x01 hello\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(text)
            head, _, body = b"".join(iter(lambda: client.recv(1000), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and list(json.loads(body)) == ["error"]


def test_a_gigabyte_is_refused_by_its_content_length(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nHost: x\r\n")
        client.sendall(b"Content-Length: 1000000000\r\n\r\n{")
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_an_endless_body_is_refused(server: Server) -> None:
    """Chunked: without Content-Length."""
    before = server.memory()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nHost: x\r\n")
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 200 * 2**20:
                client.sendall(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
                sent += 2**20
        with contextlib.suppress(ConnectionError):
            assert b"413" in client.recv(100)
    assert server.memory() - before < 60 * 2**20


def test_slow_clients_time_out_and_connections_are_limited(server: Server) -> None:
    address = ("127.0.0.1", server.port)
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(60)
        ]
        for client in crowd:
            with contextlib.suppress(OSError):
                client.sendall(b"POST /v1/models/captioner:predict HTTP/1.1\r\nX-Slow: ")
        ends = []
        for client in crowd:
            try:
                ends.append(client.recv(100)[:12])
            except OSError:
                ends.append(b"")
        assert ends.count(b"HTTP/1.1 408") >= 20  # the others exceeded the limit
        assert ends.count(b"") >= 15
    with socket.create_connection(address, timeout=60) as client:  # the body stalls
        client.sendall(b"POST /v1/models/captioner:predict HTTP/1.1\r\nHost: x\r\n")
        client.sendall(b"Content-Length: 100\r\n\r\n{")
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert server.ask(PREDICT, BODY)[0] == 200


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**63,
    1e308,
    float("nan"),
    "",
    "\0é",
    [],
    {},
    [[]],
    {"b64": "AA"},
    [None],
)


def mutated(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with a random part removed, replaced, repeated, wrapped or changed."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.8:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        changed = value.copy()
        if rng.random() < 0.1:
            del changed[key]
        else:
            changed[key] = mutated(value[key], rng)
        return changed
    if isinstance(value, str) and value and rng.random() < 0.6:
        data = bytearray(base64.b64decode(value, validate=False) if len(value) > 99 else b"?")
        data[rng.randrange(len(data))] = rng.randrange(256)
        return base64.b64encode(data).decode()
    return rng.choice([*ODD, [value], [value] * 3, value * 2 if isinstance(value, list) else 7])


def test_random_mutations_of_requests_are_always_answered(
    server: Server, captioner_folder: Path
) -> None:
    samples = [path.read_bytes() for path in sorted((captioner_folder / "requests").iterdir())]
    rng, before = random.Random(0), server.memory()
    seen: set[int] = set()
    for number in range(400):
        body = json.dumps(mutated(json.loads(rng.choice(samples)), rng)).encode()
        if number % 4 == 0:
            at = rng.randrange(len(body))
            body = (
                body[:at]
                + rng.choice([b"[" * 999, b"\xff", b'"', b"9" * 9999, b""])
                + body[at + 1 :]
            )
        status, _, answer = server.ask(PREDICT, body)
        assert status < 500, (body, answer)
        assert status == 200 or list(answer) == ["error"]
        seen.add(status)
    assert seen >= {200, 400}
    assert server.ask(PREDICT, BODY)[0] == 200
    assert server.memory() - before < 200 * 2**20
    assert '"fault"' not in "".join(server.log)


def test_metrics_health_and_log_report_a_request(server: Server) -> None:
    assert server.ask("/healthz")[2] == {"status": "alive"}
    assert server.ask(PREDICT, BODY)[0] == 200
    text = server.ask("/monitoring/prometheus/metrics")[2]
    assert 'wordreel_requests_total{model="captioner",route="predict",status="200"}' in text
    assert 'wordreel_queue_rows{model="captioner"} 0.0' in text
    assert 'wordreel_model_version{model="captioner"} 1.0' in text
    events = [json.loads(line) for line in server.log if line.startswith("{")]
    asked = [event for event in events if event.get("path") == PREDICT and event["status"] == 200]
    assert asked and asked[-1]["rows"] == 1 and asked[-1]["model"] == "captioner"
    assert not [event for event in events if event["event"] == "fault"]


def test_the_page_loads_nothing_from_other_sites(server: Server) -> None:
    status, headers, page = server.ask("/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "http://" not in page and "https://" not in page


# If the server closes first, http.client leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*unclosed <socket", "ignore:Exception ignored in. <socket")
def test_versions_change_under_load_without_a_dropped_request(
    captioner_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "captioner"
    shutil.copytree(captioner_folder / "1", folder / "1")
    (folder / "9").mkdir()  # the newest, but broken: the previous one is served
    (folder / "9" / "saved_model.pb").write_bytes(b"broken")
    settings = ("--poll", 0.1, "--max-queue", 4, "--api-key-file", tmp_path / "key")
    (tmp_path / "key").write_text(KEY + "\n")
    headers = {"Authorization": f"Bearer {KEY}"}
    with serving(f"live={folder}", *settings) as server:
        server.ready()
        live = "/v1/models/live:predict"
        assert server.ask(live, BODY)[0] == 401
        assert server.ask("/metrics")[0] == 401
        assert server.ask("/")[0] == server.ask("/healthz")[0] == 200

        done, seen = threading.Event(), []

        def client(number: int) -> None:
            body = {"inputs": [b64(encode(smooth_image(number)))]}
            captions = set()
            while not done.is_set():
                status, _, answer = server.ask(live, body, headers)
                seen.append(status)
                if status == 429:
                    time.sleep(0.05)
                else:
                    captions.add(answer["outputs"]["caption"][0])
            assert len(captions) == 1

        with ThreadPoolExecutor(8) as crowd:
            clients = [crowd.submit(client, number) for number in range(8)]
            (folder / "2").mkdir()  # incomplete: never served
            (folder / "2" / "saved_model.pb").write_bytes(b"half")
            server.until("/healthz", lambda answer: "".join(server.log).count("not loaded") == 2)
            shutil.copytree(captioner_folder / "1", tmp_path / "3")
            (tmp_path / "3").rename(folder / "3")
            server.until("/healthz", lambda answer: '"version": 3' in "".join(server.log))
            states = server.ask("/v1/models/live", headers=headers)[2]["model_version_status"]
            for version in ("1", "2", "3", "9"):  # emptied while it serves
                shutil.rmtree(folder / version)
            server.until("/healthz", lambda answer: "no version left" in "".join(server.log))
            count = len(seen)
            server.until("/healthz", lambda answer: len(seen) > count + 8)
            done.set()
            for each in clients:
                each.result()
        assert set(seen) <= {200, 429} and seen.count(200) > 16
        status = server.ask("/v1/models/live", headers=headers)[2]["model_version_status"]
        assert [each["version"] for each in status] == ["3"]
        found = [(each["version"], each["state"]) for each in states]
        assert found == [("2", "END"), ("3", "AVAILABLE"), ("9", "END")]

        # When stopped, it answers accepted requests.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = json.dumps({"inputs": [b64(JPEG)] * 32})
        connection.putrequest("POST", live)
        connection.putheader("Authorization", headers["Authorization"])
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:100].encode())
        time.sleep(1)
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(0.5)
        connection.send(body[100:].encode())
        assert connection.getresponse().status == 200
        assert server.wait() == 0


def test_wrong_arguments_are_reported_before_loading(
    captioner_folder: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1, port {port}: Address"):
            run(["serve", str(captioner_folder), "--port", str(port)])
    for words, error in (
        (["nowhere"], "there is no export at nowhere"),
        ([str(tmp_path)], "is not an export"),
        ([str(captioner_folder), str(captioner_folder)], "two models are named 'captioner'"),
        ([str(captioner_folder), "--port", "70000"], "--port must be 0 to 65535"),
        ([str(captioner_folder), "--max-rows", "0"], "--max-rows must be at least 1"),
    ):
        with pytest.raises(UserError, match=error):
            run(["serve", *words])
