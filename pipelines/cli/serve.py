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
from pipelines.config.config import flag
from pipelines.export.layout import model_folder, model_name
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import (
    ABOVE_ZERO,
    NON_NEGATIVE,
    POSITIVE,
    Constraint,
    add_number,
)
from pipelines.serving.server.settings import MIB, Settings

SUMMARY = "serve exported models over HTTP, with a page to try them"
EXTRA = ("starlette", "uvicorn", "prometheus_client")
EPILOG = """\
A DIR is a run directory or a folder of versions; NAME=DIR sets the name of the model. New versions
are loaded automatically. To serve many users, use TensorFlow Serving with the files beside the
versions (compose.yaml, models.config, batching_parameters.txt)."""
KEY = "WORDREEL_API_KEY"
PORT = Constraint("0 to 65535", lambda x: 0 <= x < 2**16)
OPTIONS: tuple[tuple[str, type, Constraint, str], ...] = (
    ("port", int, PORT, "port to listen on; 0: any free port"),
    ("max_body_mib", int, POSITIVE, "maximum size of a request in MiB"),
    ("max_rows", int, POSITIVE, "maximum rows of a request and of a batch"),
    ("max_pixels", int, POSITIVE, "maximum pixels of an image"),
    (
        "max_queue",
        int,
        POSITIVE,
        "rows that may wait for a model; more are refused with status 429",
    ),
    ("max_connections", int, POSITIVE, "maximum number of open connections"),
    ("delay", float, NON_NEGATIVE, "seconds that a request waits for others to share a batch with"),
    ("read_timeout", float, ABOVE_ZERO, "seconds in which a request must arrive"),
    ("timeout", float, ABOVE_ZERO, "seconds in which a request must be answered"),
    ("poll", float, ABOVE_ZERO, "seconds between checks for a new version"),
    ("drain", float, NON_NEGATIVE, "seconds for running requests when the server stops"),
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
    for name, kind, constraint, text in OPTIONS:
        add_number(parser, flag(name), kind, constraint, text, defaults[name])
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
            "warning: anyone who can reach this address may send requests; require a key with "
            f"--api-key-file or {KEY}",
            file=sys.stderr,
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


def _key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(KEY) or None
    key = file.read_text(encoding="utf-8").strip()
    if not key:
        raise UserError(f"--api-key-file {file} is empty")
    return key
