"""Data cards (Gebru et al., 2021) in Hugging Face's format, which describe a dataset in its README.md.

The metadata follow https://github.com/huggingface/hub-docs, `datasetcard.md` and `modelcard.md`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfx_pipeline.datasets.entries import README, Entry
from tfx_pipeline.datasets.folder import read_folder

NOT_STATED = "not stated"
LANGUAGES = {"en": "English", "zh": "Chinese"}
LICENCES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause
bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0
cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m
ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr
lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl
zlib
"""
"""The identifiers that Hugging Face knows, in lower case."""
MOST_VALUES = 16


@dataclass(frozen=True)
class DataCard:
    """The contents of a data card.

    Attributes:
      name: name of the dataset.
      origin: its origin, in a sentence.
      licence: licence of the pictures and captions; `NOT_STATED` if unknown.
      entries: its entries.
      fingerprint: fingerprint of its contents; empty if it was not computed.
      quarantined: number of quarantined pictures by kind of reason.
      passed_over: number of ignored files and columns by name.
    """

    name: str
    origin: str
    licence: str
    entries: Sequence[Entry]
    fingerprint: str = ""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the card into the folder of the dataset."""
        (folder / README).write_text(self.page(), encoding="utf-8", errors="backslashreplace")

    def page(self) -> str:
        """The card in Markdown."""
        sections = {
            "Licence": f"{self.licence[:1].upper()}{self.licence[1:]}.",
            "Contents": table(("", "count"), self.counts()),
            "Slices": "\n\n".join(table((name, "pictures"), values.items()) for name, values in self.slices().items()),
            "Set aside": table(("reason", "pictures"), self.quarantined.items()),
            "Passed over": table(("name", "files"), self.passed_over.items()),
            "Fingerprint": self.fingerprint and f"`{self.fingerprint}` (SHA-256 over captions and pictures)",
        }
        parts = [front_matter(self.metadata()), f"# {self.name}", self.origin]
        parts += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
        return "\n\n".join(parts) + "\n"

    def metadata(self) -> dict[str, Any]:
        """The YAML header of Hugging Face's data cards."""
        return {
            **licence_keys(self.licence),
            "language": list(self.languages()),
            "pretty_name": self.name,
            "task_categories": ["text-to-image", "image-to-text"],
            "size_categories": [size_category(len(self.entries))],
            "tags": ["easel", "imagefolder"],
        }

    def languages(self) -> dict[str, int]:
        """Number of pictures with a caption in each language; captions outside `text_zh` count as English."""
        counts = {
            "en": sum(bool(entry.text) for entry in self.entries),
            "zh": sum(bool(entry.text_zh) for entry in self.entries),
        }
        return {language: count for language, count in counts.items() if count}

    def counts(self) -> Iterator[tuple[str, int]]:
        """The contents of the dataset with their numbers."""
        yield "pictures", len(self.entries)
        yield "captions", sum(len(entry.captions) for entry in self.entries)
        for language, count in self.languages().items():
            yield f"pictures with a caption in {LANGUAGES[language]}", count
        yield "withheld from training", sum(entry.withheld for entry in self.entries)
        yield "with boxes of things", sum(entry.objects is not None for entry in self.entries)
        yield "set aside", sum(self.quarantined.values())

    def slices(self) -> dict[str, dict[str, int]]:
        """Number of pictures by value of each attribute with few values, the most common first."""
        values: dict[str, Counter[str]] = {}
        for entry in self.entries:
            for name, value in entry.attributes.items():
                if isinstance(value, str | bool | int):
                    values.setdefault(name, Counter())[str(value)] += 1
        return {name: dict(counts.most_common()) for name, counts in values.items() if 2 <= len(counts) <= MOST_VALUES}


def describe(folder: Path, name: str, origin: str, licence: str) -> None:
    """Write the card of a generated dataset, whose pictures need no check."""
    DataCard(name, origin, licence, read_folder(folder, decode=False).entries).write(folder)


def front_matter(metadata: Mapping[str, Any]) -> str:
    """Metadata as the YAML header of a card; values are written as JSON, which is valid YAML."""
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in metadata.items())
    return "\n".join(["---", *lines, "---"])


def licence_keys(licence: str) -> dict[str, str]:
    """The fields of a licence on the Hub: its identifier, `other` with a name, or `unknown`."""
    if licence == NOT_STATED:
        return {"license": "unknown"}
    if licence.lower() in LICENCES.split():
        return {"license": licence.lower()}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-") or "custom"}


def size_category(count: int) -> str:
    """The class of a number of examples, such as `1K<n<10K`."""
    bounds = {"1K": 10**3, "10K": 10**4, "100K": 10**5, "1M": 10**6, "10M": 10**7}
    names = list(bounds)
    above = sum(count >= bound for bound in bounds.values())
    if above == 0:
        return f"n<{names[0]}"
    return f"{names[above - 1]}<n<{names[above]}" if above < len(names) else "10M<n<100M"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; empty if there are no rows."""
    lines = [[cell(value) for value in row] for row in rows]
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(head), rule, *lines]) if lines else ""


def cell(value: object) -> str:
    """A value in a Markdown table."""
    return f"{value:,}" if isinstance(value, int) else " ".join(str(value).split()).replace("|", "\\|")
