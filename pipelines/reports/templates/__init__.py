"""The pages that are written: templates that hold what they need and load nothing."""

from pathlib import Path

import jinja2


def template_of(name: str) -> jinja2.Template:
    """Return a template of this folder; what it is given is escaped, and has to be there."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
