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
from typing import Any

from data.common.errors import UserError
from pipelines.config.config import flag
from pipelines.export.layout import model_folder, model_name
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import Constraint, add_number
from pipelines.serving.server.settings import Settings

SUMMARY = "serve exported models over HTTP, with a page to try them"
EXTRA = ("starlette", "uvicorn", "prometheus_client")
EPILOG = """\
A DIR is a run directory or a folder of versions; NAME=DIR sets the name of the model. New versions
are loaded automatically. To serve many users, use TensorFlow Serving with the files beside the
versions (compose.yaml, models.config, batching_parameters.txt)."""
KEY = "WORDREEL_API_KEY"
PORT = Constraint("0 to 65535", lambda x: 0 <= x < 2**16)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    text = "folders of versions, or run directories"
    parser.add_argument("models", nargs="+", metavar="DIR", help=text)
    text = "address to listen on (default: only this machine)"
    parser.add_argument("--host", default="127.0.0.1", help=text)
    add_number(parser, "--port", int, PORT, "port to listen on; 0: any free port", 8501)
    for field in _limits():
        constraint, text = field.metadata["allowed"], field.metadata["help"]
        default: float = getattr(Settings, field.name)
        add_number(parser, flag(field.name), type(default), constraint, text, default)
    text = "other sites whose pages may send requests, such as https://example.org"
    parser.add_argument("--cors", nargs="+", default=[], metavar="ORIGIN", help=text)
    text = f"file with the key that requests must send (default: {KEY} in the environment)"
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help=text)


def run(given: argparse.Namespace) -> int:
    """Serve until stopped; return 0."""
    folders = _folders(given.models)
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"serving requires {', '.join(missing)}: pip install -c constraints.txt -e '.[serve]'"
        )
    from pipelines.serving.server.http_server import bind, serve

    settings = Settings(
        api_key=_key(given.api_key_file),
        origins=tuple(given.cors),
        **{field.name: getattr(given, field.name) for field in _limits()},
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


def _limits() -> list[dataclasses.Field[Any]]:
    """Return the fields of `Settings` that are options."""
    return [field for field in dataclasses.fields(Settings) if field.metadata]


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
