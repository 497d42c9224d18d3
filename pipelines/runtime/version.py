"""The version of Wordreel."""

import importlib.metadata


def own_version(default: str) -> str:
    """Return the version of Wordreel; `default` in a checkout that is not installed."""
    try:
        return importlib.metadata.version("wordreel")
    except importlib.metadata.PackageNotFoundError:
        return default
