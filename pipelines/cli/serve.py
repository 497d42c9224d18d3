"""`wordreel serve DIR…`: a server for development and demonstrations, with a page."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import re
import sys
from ipaddress import ip_address
from pathlib import Path

from data.common.errors import UserError
from pipelines.export.layout import model_folder, model_name
from pipelines.runtime.console import number, quiet_tensorflow
from pipelines.serving.server.settings import MIB, Settings

SUMMARY = "serve exported models over HTTP, with a page to try them"
EXTRA = ("starlette", "uvicorn", "prometheus_client")
EPILOG = """\
A DIR is a run directory or a folder of versions; NAME=DIR sets the name of the model. New versions
are loaded automatically. To serve many users, use TensorFlow Serving with the files beside the
versions (compose.yaml, models.config, batching_parameters.txt)."""
KEY = "WORDREEL_API_KEY"
# Option, smallest value, help. A float is a number of seconds; None: any above 0.
OPTIONS: tuple[tuple[str, float | None, str], ...] = (
    ("port", 0, "port to listen on; 0: any free port"),
    ("max-body-mib", 1, "MiB of a request"),
    ("max-rows", 1, "rows of a request and of a batch"),
    ("max-pixels", 1, "pixels of an image"),
    ("max-queue", 1, "rows that may wait for a model; more are refused with status 429"),
    ("max-connections", 1, "open connections"),
    ("delay", 0.0, "seconds that a request waits for others to share a batch with"),
    ("read-timeout", None, "seconds in which a request must arrive"),
    ("timeout", None, "seconds in which a request must be answered"),
    ("poll", None, "seconds between checks for a new version"),
    ("drain", 0.0, "seconds for running requests when the server stops"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "models", nargs="+", metavar="DIR", help="folders of versions, or run directories"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: only this machine)"
    )
    defaults = {"port": 8501, "max_body_mib": Settings.max_body // MIB, **vars(Settings())}
    for name, smallest, text in OPTIONS:
        default = defaults[name.replace("-", "_")]
        whole = isinstance(smallest, int)
        parser.add_argument(
            f"--{name}",
            type=number(int, "a whole number") if whole else number(float, "a number"),
            default=default,
            metavar="N" if whole else "X",
            help=f"{text} (default: {default if whole else format(default, 'g')})",
        )
    parser.add_argument(
        "--cors",
        nargs="+",
        default=[],
        metavar="ORIGIN",
        help="other sites whose pages may send requests, such as https://example.org",
    )
    parser.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"file with the key that requests must send (default: {KEY} in the environment)",
    )


def run(given: argparse.Namespace) -> int:
    """Serve until stopped; return 0."""
    folders = _folders(given.models)
    _check(given)
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"serving requires {', '.join(missing)}: pip install -c constraints.txt -e '.[serve]'"
        )
    from pipelines.serving.server.http_server import bind, serve

    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(
        max_body=given.max_body_mib * MIB,
        max_bodies=max(256, 2 * given.max_body_mib) * MIB,
        api_key=_key(given.api_key_file),
        origins=tuple(given.cors),
        **{name: value for name, value in vars(given).items() if name in names},
    )
    listening = bind(given.host, given.port)  # before the models are loaded, which takes a while
    quiet_tensorflow()
    from pipelines.serving.server.app import make_app

    host, port = listening.getsockname()[:2]
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)
    if not ip_address(host).is_loopback and settings.api_key is None:
        print(
            f"anyone who reaches this address may send requests; {KEY} sets a key", file=sys.stderr
        )
    serve(make_app(folders, settings), listening, settings)
    return 0


def _folders(words: list[str]) -> dict[str, Path]:
    """Return the folders of versions by model name."""
    folders: dict[str, Path] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            name, path = "", word
        folder = model_folder(Path(path))
        name = name or model_name(folder)
        if name in folders:
            raise UserError(
                f"two models are named {name!r}, {folders[name]} and {folder}: use NAME=DIR to "
                "rename one"
            )
        folders[name] = folder
    return folders


def _check(given: argparse.Namespace) -> None:
    """Refuse numbers out of range."""
    for name, smallest, _ in OPTIONS:
        value = getattr(given, name.replace("-", "_"))
        if smallest is None and value <= 0:
            raise UserError(f"--{name} must be above 0, not {value:g}")
        if smallest is not None and value < smallest:
            raise UserError(f"--{name} must be at least {smallest:g}, not {value:g}")
    if given.port >= 65536:
        raise UserError(f"--port must be at most 65535, not {given.port}")


def _key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(KEY) or None
    key = file.read_text(encoding="utf-8").strip()
    if not key:
        raise UserError(f"--api-key-file {file} is empty")
    return key
