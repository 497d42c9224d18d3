"""The templates of reports, pages that load nothing."""

from pathlib import Path

import jinja2


def template_of(name: str) -> jinja2.Template:
    """Return a template of this folder; values are escaped, and missing ones are errors."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
