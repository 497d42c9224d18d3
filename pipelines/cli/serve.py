"""`wordreel serve DIR…`: a server for development and demonstrations, with a page to try."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
from ipaddress import ip_address
from pathlib import Path

from data.common.errors import UserError
from pipelines.export.layout import model_folder, model_name
from pipelines.runtime.console import number, quiet_tensorflow

SUMMARY = "answer as TensorFlow Serving's REST does, and show a page to try models on"
EXTRA = ("starlette", "uvicorn", "prometheus_client")
EPILOG = """\
A run directory or a folder of versions is a DIR; NAME=DIR gives the model another name. New
versions are taken up as they appear. For many users serve with TensorFlow Serving: the files lie
beside the versions (compose.yaml, models.config, batching_parameters.txt)."""
KEY = "WORDREEL_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "models", nargs="+", metavar="DIR", help="folders of versions, or run directories"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine)",
    )
    for name, default, text in (
        ("port", 8501, "to listen on"),
        ("max-body-mib", 16, "largest request, in MiB"),
        ("max-rows", 32, "rows of a request, and of a batch"),
        ("max-pixels", 50_000_000, "that a picture may announce"),
        ("max-queue", 128, "rows that may wait for a model; more are refused with 429"),
        ("max-connections", 512, "at the same time"),
    ):
        parser.add_argument(
            f"--{name}",
            type=number(int, "a whole number"),
            default=default,
            metavar="N",
            help=f"{text} (default: {default})",
        )
    for name, seconds, text in (
        ("delay", 0.002, "that a request waits for others to share a batch with"),
        ("read-timeout", 30.0, "in which a request has to arrive"),
        ("timeout", 60.0, "in which an answer must be there"),
        ("poll", 1.0, "between two looks for a new version"),
        ("drain", 30.0, "for what is under way when the server is stopped"),
    ):
        parser.add_argument(
            f"--{name}",
            type=number(float, "a number"),
            default=seconds,
            metavar="X",
            help=f"seconds {text} (default: {seconds:g})",
        )
    parser.add_argument(
        "--cors",
        nargs="+",
        default=[],
        metavar="ORIGIN",
        help="other sites whose pages may ask, such as https://example.org",
    )
    parser.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"holds the key that requests must carry (default: {KEY} in the environment, if set)",
    )


def run(given: argparse.Namespace) -> int:
    """Serve until stopped; return 0."""
    folders = _folders(given.models)
    _check(given)
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"serving needs {', '.join(missing)}: pip install -c constraints.txt -e '.[serve]'"
        )
    from pipelines.serving.server.http_server import bind, serve
    from pipelines.serving.server.settings import MIB, Settings

    settings = Settings(
        max_body=given.max_body_mib * MIB,
        max_bodies=max(256, 2 * given.max_body_mib) * MIB,
        max_rows=given.max_rows,
        max_pixels=given.max_pixels,
        max_queue=given.max_queue,
        max_connections=given.max_connections,
        delay=given.delay,
        read_timeout=given.read_timeout,
        timeout=given.timeout,
        poll=given.poll,
        drain=given.drain,
        api_key=_key(given.api_key_file),
        origins=tuple(given.cors),
    )
    listening = bind(given.host, given.port)  # before the models are loaded, which takes a while
    quiet_tensorflow()
    from pipelines.serving.server.app import make_app

    host, port = listening.getsockname()[:2]
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)
    if not ip_address(host).is_loopback and settings.api_key is None:
        print(f"whoever reaches this address may ask; {KEY} sets a key", file=sys.stderr)
    serve(make_app(folders, settings), listening, settings)
    return 0


def _folders(words: list[str]) -> dict[str, Path]:
    """Return the folders of versions by the models' names."""
    folders: dict[str, Path] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            name, path = "", word
        folder = model_folder(Path(path))
        name = name or model_name(folder)
        if name in folders:
            raise UserError(
                f"two models would be called {name!r}, {folders[name]} and {folder}: NAME=DIR "
                "gives one another name"
            )
        folders[name] = folder
    return folders


def _check(given: argparse.Namespace) -> None:
    """Refuse numbers that mean nothing."""
    if not 0 <= given.port < 65536:
        raise UserError(f"--port is from 0 (any that is free) to 65535, not {given.port}")
    for name in ("max_body_mib", "max_rows", "max_pixels", "max_queue", "max_connections"):
        if getattr(given, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1")
    for name in ("read_timeout", "timeout", "poll"):
        if getattr(given, name) <= 0:
            raise UserError(f"--{name.replace('_', '-')} must be above 0")
    for name in ("delay", "drain"):
        if getattr(given, name) < 0:
            raise UserError(f"--{name} must be 0 or more")


def _key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(KEY) or None
    key = file.read_text(encoding="utf-8").strip()
    if not key:
        raise UserError(f"--api-key-file {file} is empty")
    return key
