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
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Seminar kit", "hand_out": "Hand-out", "question": "Question", "options": "Your prediction, before anything runs",
        "experiment": "Experiment", "steps": "Look, step by step", "look": "Look, step by step", "answer": "What the model showed",
        "why": "Discussion: why", "literature": "What is known from the laboratory and from patients", "source": "Source",
        "measured": "The page fills in the numbers once the experiment has run.", "open": "Open the experiment",
        "start": "Start the page with `tme view`, choose **Lessons**, then this one; or open this address of the running page:",
        "notes": "Your notes", "plan": "Plans", "lessons": "Lessons", "other": "In italiano", "lesson": "lesson",
        "intro": "For a seminar, a journal club or a class. Each hand-out fits on a sheet: print the page, or hand out its address. "
        "The model teaches mechanisms and makes hypotheses; it decides on no patient's treatment.",
        "ten": "## Ten minutes\n\n| minutes | what |\n| --- | --- |\n| 0-2 | The question. Everybody writes a prediction down; count hands for each. |\n"
        "| 2-6 | Run the experiment on the projector. Nobody explains anything yet. |\n| 6-8 | Who was right? Read the answer. |\n"
        "| 8-10 | Why, and what the literature says: where does the model know less than the room? |",
        "forty": "## Forty minutes\n\n| minutes | what |\n| --- | --- |\n| 0-5 | What is on the page: two marrows, one patient, the same dice. |\n"
        "| 5-15 | First lesson, as in ten minutes. |\n| 15-30 | In pairs, at a computer each: another lesson of the list, with prediction and notes. |\n"
        "| 30-37 | Each pair in one minute: prediction, what was seen, what surprised. |\n"
        "| 37-40 | What the model cannot say: read one row of [its limits](site:limits.md) together. |",
        "before": "## Before it\n\n- `pip install` on the computer of the projector, and `tme view` once: the first start compiles for about a minute.\n"
        "- No network is needed while it runs.\n- Choose the lesson by the question that your listeners ask anyway.",
    },
    "it": {
        "title": "Kit per seminari", "hand_out": "Scheda", "question": "Domanda", "options": "La tua previsione, prima di far partire qualcosa",
        "experiment": "Esperimento", "steps": "Guarda, passo per passo", "look": "Guarda, passo per passo", "answer": "Che cosa ha mostrato il modello",
        "why": "Discussione: perché", "literature": "Che cosa si sa dal laboratorio e dai pazienti", "source": "Fonte",
        "measured": "La pagina inserisce i numeri quando l'esperimento è concluso.", "open": "Apri l'esperimento",
        "start": "Avvia la pagina con `tme view`, scegli **Lezioni**, poi questa; oppure apri questo indirizzo della pagina in funzione:",
        "notes": "I tuoi appunti", "plan": "Scalette", "lessons": "Lezioni", "other": "In English", "lesson": "lezione",
        "intro": "Per un seminario, un journal club o una lezione. Ogni scheda sta su un foglio: stampa la pagina o distribuisci il suo indirizzo. "
        "Il modello insegna meccanismi e genera ipotesi; non decide la terapia di nessun paziente.",
        "ten": "## Dieci minuti\n\n| minuti | che cosa |\n| --- | --- |\n| 0-2 | La domanda. Ognuno scrive una previsione; si contano le mani. |\n"
        "| 2-6 | L'esperimento sul proiettore. Nessuno spiega ancora nulla. |\n| 6-8 | Chi aveva ragione? Si legge la risposta. |\n"
        "| 8-10 | Perché, e che cosa dice la letteratura: dove il modello sa meno di chi è in aula? |",
        "forty": "## Quaranta minuti\n\n| minuti | che cosa |\n| --- | --- |\n| 0-5 | Che cosa c'è sulla pagina: due midolli, un paziente, gli stessi dadi. |\n"
        "| 5-15 | Prima lezione, come nei dieci minuti. |\n| 15-30 | A coppie, un computer ciascuna: un'altra lezione dell'elenco, con previsione e appunti. |\n"
        "| 30-37 | Ogni coppia in un minuto: previsione, che cosa si è visto, che cosa ha sorpreso. |\n"
        "| 37-40 | Che cosa il modello non può dire: si legge insieme una riga dei [suoi limiti](site:limits.md). |",
        "before": "## Prima\n\n- `pip install` sul computer del proiettore, e `tme view` una volta: il primo avvio compila per circa un minuto.\n"
        "- Mentre funziona non serve la rete.\n- Scegli la lezione dalla domanda che il tuo pubblico farebbe comunque.",
    },
}
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
    for name in ("steps", "look"):
        if name in text:
            lines += [f"## {words[name]}", "", *(f"{i}. {step}" for i, step in enumerate(text[name], 1)), ""]
    lines += [f"## {words['notes']}", "", *["<br>" for _ in range(4)], ""]
    if "answer" in text:
        blank = MEASURE.sub("<u>&emsp;&emsp;</u>", text["answer"])
        lines += [f"## {words['answer']}", "", blank, "", f"*{words['measured']}*", ""]
    for name in ("why", "literature"):
        if name in text:
            lines += [f"## {words[name]}", "", text[name], ""]
    return "\n".join([*lines, f"## {words['source']}", "", lesson["source"]]) + "\n"


def index(language: str) -> str:
    """The first page of the kit in a language."""
    words, other = WORDS[language], "it" if language == "en" else "en"
    lines = [f"# {words['title']}", "", words["intro"], "", f"[{words['other']}](../{other}/index.md)", "", words["before"], "", words["ten"], ""]
    lines += [words["forty"], "", f"## {words['lessons']}", "", f"| {words['lesson']} | {words['question'].lower()} |", "| --- | --- |"]
    lines += [f"| [{lesson[language]['title']}]({key}.md) | {lesson[language]['question']} |" for key, lesson in lessons().items()]
    return "\n".join(lines) + "\n"


def made() -> dict[str, str | bytes]:
    """All pages of the kit, by their places."""
    found: dict[str, str | bytes] = {f"{PLACE}/{language}/index.md": index(language) for language in WORDS}
    return found | {f"{PLACE}/{language}/{key}.md": hand_out(key, language) for language in WORDS for key in lessons()}
