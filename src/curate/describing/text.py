"""A dataset card as Markdown with a YAML head, as the Hugging Face hub reads it.

Source: https://huggingface.co/docs/hub/datasets-cards and its specification of the head.
"""

from __future__ import annotations

import re
from typing import Any

from curate.croissant import CardSettings
from curate.describing.facts import Facts
from curate.exporters.huggingface import size_category
from curate.personal import KINDS

# Licences that the hub knows by name: https://huggingface.co/docs/hub/repositories-licenses, those used for data.
HUB_LICENSES = frozenset(
    """apache-2.0 mit openrail bigscience-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause
    c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
    cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl ofl-1.1 osl-3.0
    postgresql ncsa unlicense zlib pddl other unknown""".split()
)
MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~])")


def card_text(facts: Facts, about: CardSettings, *, own_files: bool) -> str:
    """The whole card. own_files: the head names manifest.parquet beside it as the data."""
    import yaml

    head = yaml.safe_dump(_head(facts, about, own_files), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{card_body(facts, about)}"


def card_body(facts: Facts, about: CardSettings) -> str:
    """The card without its head: what people read."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("curate.describing", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  it is Markdown, in which `cell` makes file names and labels harmless
    )
    environment.filters.update(cell=as_cell, number=_number, percent=_percent)
    shown = {"facts": facts, "about": about, "kinds": KINDS, "licence": about.license, "flagged": facts.labels.flagged}
    return environment.get_template("card.md.jinja").render(**shown, review=facts.labels.review)


def as_cell(text: object) -> str:
    """The text on one line, so that Markdown shows it as it is, also within a table."""
    plain = "".join(char if char.isprintable() else " " for char in str(text))
    return MARKUP.sub(r"\\\1", plain)


def licence_head(licence: str) -> dict[str, Any]:
    """What the hub's head says of a licence: a name it knows, or `other` with what was given; {} for none."""
    if not licence:
        return {}
    known = licence.strip().lower()
    if known in HUB_LICENSES:
        return {"license": known}
    return {"license": "other", "license_link" if "://" in licence else "license_name": licence}


def _head(facts: Facts, about: CardSettings, own_files: bool) -> dict[str, Any]:
    files = [{"config_name": "default", "data_files": "manifest.parquet"}]
    return {
        **licence_head(about.license),
        "pretty_name": about.name or facts.name,
        "task_categories": ["image-classification"],
        "size_categories": [size_category(facts.total)],
        "tags": ["curate", "croissant"],
        **({"configs": files} if own_files else {}),
    }


def _number(value: float) -> str:
    return f"{value:,}"


def _percent(share: float) -> str:
    """A share as people read it: 3.4 %; below a tenth of a percent so many digits that it is not 0."""
    return f"{share:.1%}" if share >= 0.001 or share == 0 else f"{share:.2%}"
