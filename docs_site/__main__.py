"""Write the tables in docs/ that follow from the code, the dictionary of columns among them: `python -m docs_site`."""

from docs_site import tables
from tme_abm.analysis.headings import sections as of_analyses
from tme_abm.export.folder import sections
from tme_abm.tables import page

made = {path: tables.fill(path.read_text(encoding="utf-8")) for path in tables.pages()}
made[tables.DOCS / "columns.md"] = page(sections() | of_analyses())
for path, text in made.items():
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written anew")
