"""The seminar kit: a hand-out for each lesson of the live page, in English and Italian, and plans for ten and for forty minutes.

All of it comes from the files of the lessons (viz/tme_viz/lessons), whatever keys their texts have.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

LESSONS = Path(__file__).parents[1] / "viz" / "tme_viz" / "lessons"
PLACE = "seminar"
TEXTS: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("seminar.toml").read_text(encoding="utf-8"))
LIMITS: dict[str, dict[str, str]] = {language: texts.pop("limits") for language, texts in TEXTS.items()}  # by lesson
WORDS: dict[str, dict[str, str]] = TEXTS
MEASURE = re.compile(r"\{(\w+)(?::[^}]*)?\}")


@cache
def lessons() -> dict[str, dict[str, Any]]:
    """The lessons by their file names without numbers, in their order."""
    return {path.stem.partition("_")[2]: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(LESSONS.glob("*.toml"))}


def hand_out(key: str, language: str) -> str:
    """The hand-out of a lesson."""
    lesson, words = lessons()[key], WORDS[language]
    text = lesson[language]
    lines = [f"# {text['title']}", "", f"## {words['question']}", "", text["question"], "", f"## {words['options']}", ""]
    lines += [f"- ☐ {option}" for option in text["options"]]
    lines += ["", f"## {words['experiment']}", "", text["experiment"], "", words["start"], ""]
    lines += [f"    http://localhost:8765/?{lesson['link']}&lesson={key}", ""]
    lines += [f"{words['on_a_phone']} [{text['title']}](site:lessons/{key}.html?language={language}).", ""]
    for name in ("steps", "look"):
        if name in text:
            lines += [f"## {words[name]}", "", *(f"{i}. {step}" for i, step in enumerate(text[name], 1)), ""]
    lines += [f"## {words['notes']}", "", *["<br>" for _ in range(4)], ""]
    lines += [f'<div class="next-side">{words["overleaf"]}</div>', ""]
    if "answer" in text:
        blank = MEASURE.sub("<u>&emsp;&emsp;</u>", text["answer"])
        lines += [f"## {words['answer']}", "", blank, "", f"*{words['measured']}*", ""]
    for name in ("why", "literature"):
        if name in text:
            lines += [f"## {words[name]}", "", text[name], ""]
    lines += [f"## {words['limit']}", "", LIMITS[language][key], ""]
    return "\n".join([*lines, f"## {words['source']}", "", lesson["source"]]) + "\n"


def index(language: str) -> str:
    """The first page of the kit in a language."""
    words, other = WORDS[language], "it" if language == "en" else "en"
    lines = [
        f"# {words['title']}",
        "",
        words["intro"],
        "",
        f"[{words['other']}](../{other}/index.md)",
        "",
        words["before"],
        "",
        words["ten"],
        "",
    ]
    lines += [words["forty"], "", f"## {words['lessons']}", ""]
    lines += [f"| {words['lesson']} | {words['question'].lower()} | {words['phone']} |", "| --- | --- | --- |"]
    for key, lesson in lessons().items():
        text, file = lesson[language], f"[{words['file']}](site:lessons/{key}.html?language={language})"
        lines.append(f"| [{text['title']}]({key}.md) | {text['question']} | {file} |")
    return "\n".join(lines) + "\n"


def made() -> dict[str, str | bytes]:
    """All pages of the kit, by their places."""
    found: dict[str, str | bytes] = {f"{PLACE}/{language}/index.md": index(language) for language in WORDS}
    return found | {f"{PLACE}/{language}/{key}.md": hand_out(key, language) for language in WORDS for key in lessons()}
