"""The hook of mkdocs.yml: pages of the repository outside docs/ become pages of the site.

Links between them are kept; a link to any other file outside docs/ becomes its name.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {  # by their paths in the repository
    "README.md": "index.md",
    "examples/README.md": "examples.md",
    "CONTRIBUTING.md": "contributing.md",
}
LINK = re.compile(r"(!?)\[([^]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages, with their links as seen from the site."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=relinked(text, source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Return a page of docs/ with its links as seen from the site."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}")


def relinked(text: str, source: str) -> str:
    """Return a page's text with links for the site. source: the page's path in the repository."""
    own = PAGES.get(source, source.removeprefix("docs/"))

    def link(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups("")
        found = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if found.startswith("docs/"):
            inside = found.removeprefix("docs/")
        elif found in PAGES:
            inside = PAGES[found]
        else:
            return f"{picture}[{words}]({target})" if picture else words
        return f"{picture}[{words}]({posixpath.relpath(inside, posixpath.dirname(own))}{anchor})"

    return LINK.sub(link, text)
