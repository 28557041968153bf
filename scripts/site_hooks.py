# SPDX-License-Identifier: Apache-2.0
"""What MkDocs does for this site beside its plugins (``hooks`` in mkdocs.yml).

Pages of docs/ link to files of the project as they lie in the repository. On the site such a file is a page of its own
below ``files/``, README.md is the home page, and CHANGELOG.md and CONTRIBUTING.md are pages. The page of the errors is
given its messages here, from the source, and the player of the recording comes from the package
``mkdocs-asciinema-player``.
"""

from __future__ import annotations

import html
import importlib.resources
import json
import os
import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from error_messages import as_markdown, messages  # noqa: E402 - beside this file

#: files of the project that are pages of the site
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
#: files of the project that the site writes itself
HOME = {page: file for file, page in PAGES.items() if file != "README.md"}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", "": "bash"}
#: a section of README.md that the site shows on a page, by its anchor
INSTALL, SECTION = "install.md", "what-to-install"
SEARCH = "assets/search-from-folder.js"
INSTALL_MARK = "<!-- the section of README.md stands here on the site -->"
MESSAGES = "<!-- the messages stand here on the site -->"
PLAYER = "mkdocs_asciinema_player"
A_FENCE = re.compile(r"^(```+|~~~+).*?^\1[ ]*$", re.MULTILINE | re.DOTALL)
A_LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\])\(([^)\s]+)\)")
A_RECORDING = re.compile(r"^\[([^\]]+)\]\((\S+\.cast)\)$", re.MULTILINE)


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Change what is not in a fenced code block."""
    parts, end = [], 0
    for fence in A_FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def place_on_site(path: str) -> str:
    """Return the page of the site that shows a path of the project."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}/index.md" if (ROOT / path).is_dir() else f"files/{path}.md"


def links(text: str) -> list[str]:
    """Return the targets of the links outside code blocks, without anchors; no addresses."""
    found: list[str] = []
    outside_fences(text, lambda part: found.extend(link[2] for link in A_LINK.finditer(part)) or part)
    return [target.partition("#")[0] for target in found if not re.match(r"[a-z]+:|#", target)]


def title_of(page: str) -> str:
    """Return the title of a page in docs/, else its place."""
    file = ROOT / "docs" / page
    title = re.search(r"^# (.+)$", file.read_text(), re.MULTILINE) if file.is_file() else None
    return title[1] if title else page


def for_the_site(text: str, file: str, page: str) -> str:
    """Return the text of a file of the project with its links as they are from a page of the site.

    A link that shows the name of a page of docs/ shows its title.
    """
    here = posixpath.dirname(file)

    def moved(link: re.Match[str]) -> str:
        target, hash_, anchor = link[2].partition("#")
        if re.match(r"[a-z]+:", link[2]) or not target:
            return link[0]
        path = posixpath.normpath(posixpath.join(here, target))
        there = INSTALL if (path, anchor) == ("README.md", SECTION) else place_on_site(path)
        text = f"[{title_of(there)}]" if link[1].endswith(".md]") else link[1]
        return f"{text}({posixpath.relpath(there, posixpath.dirname(page) or '.')}{hash_}{anchor})"

    return outside_fences(text, lambda part: A_LINK.sub(moved, part))


def for_docs(text: str) -> str:
    """Return text of README.md with its links as they are from docs/."""
    return A_LINK.sub(lambda link: link[0] if ":" in link[2] or link[2][0] == "#" else f"{link[1]}(../{link[2]})", text)


def shown(path: str) -> str:
    """Return the page that shows a file of the project, or all files of a folder."""
    front = "---\nsearch: {exclude: true}\n---\n"
    place = ROOT / path
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    text = [f"{front}# {path}\n"]
    for file in files:
        if file.is_file():
            if file != place:
                text.append(f"## {file.name}\n")
            text.append(f"````{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text().rstrip()}\n````\n")
    return "\n".join(text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let search work from a folder without what the plugin ``offline`` would fetch for it."""
    polyfills = config.extra["polyfills"]
    polyfills[:] = [SEARCH if "iframe-worker" in str(address) else address for address in polyfills]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/, and the player."""
    for page, file in HOME.items():
        files.append(File.generated(config, page, content=for_the_site((ROOT / file).read_text(), file, page)))
    sources = [f"docs/{file.src_uri}" for file in files.documentation_pages() if file.src_uri not in HOME]
    for source in [*sources, *HOME.values()]:
        if not (ROOT / source).is_file():
            continue
        for target in links((ROOT / source).read_text()):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
            page = place_on_site(path)
            if page.startswith("files/") and (ROOT / path).exists() and files.get_file_from_path(page) is None:
                files.append(File.generated(config, page, content=shown(path)))
    for name in ("asciinema-player.min.js", "asciinema-player.css"):
        content = importlib.resources.files(PLAYER).joinpath("assets", name).read_bytes()
        files.append(File.generated(config, f"assets/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn links to files of the project into links to their pages, and a link to a recording into its player."""
    uri = page.file.src_uri
    if page.file.generated_by:
        return markdown
    if uri == INSTALL:
        readme = (ROOT / "README.md").read_text()
        section = readme[readme.index("## What to install") :].partition("\n## ")
        markdown = markdown.replace(INSTALL_MARK, for_docs(section[0]))
    if uri == "reference/errors.md":
        markdown = markdown.replace(MESSAGES, as_markdown(messages()))
    return A_RECORDING.sub(lambda link: player(link, uri), for_the_site(markdown, f"docs/{uri}", uri))


def player(link: re.Match[str], page: str) -> str:
    """Return the player of a recording. Its text stands in the page, as no browser fetches files from a folder."""
    cast = (ROOT / "docs" / posixpath.dirname(page) / link[2]).read_text()
    assets = posixpath.relpath("assets", posixpath.dirname(page) or ".")
    options = {"fit": "width", "poster": "npt:0:04", "idleTimeLimit": 3, "terminalFontSize": "small"}
    data = json.dumps(cast).replace("</", "<\\/")
    return (
        f'<link rel="stylesheet" href="{assets}/asciinema-player.css">\n'
        f'<div id="recording" aria-label="{html.escape(link[1])}"></div>\n'
        f'<script src="{assets}/asciinema-player.min.js"></script>\n'
        f"<script>AsciinemaPlayer.create({{data: {data}}}, document.getElementById('recording'), "
        f"{json.dumps(options)})</script>\n"
    )


def on_post_build(config: MkDocsConfig) -> None:
    """Leave out of the folder what only a web server of MkDocs reads."""
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        Path(config.site_dir, name).unlink(missing_ok=True)
    os.utime(config.site_dir)
