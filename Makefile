# The everyday commands, from a clone with its virtual environment in .venv (README.md: set up; CONTRIBUTING.md: what each is for).
PYTHON = .venv/bin/python

.PHONY: setup test quick lint format baseline schema page docs tables package all

setup:  ## the virtual environment with all that tests and linters need
	python3 -m venv .venv && .venv/bin/pip install -e '.[test,lint,docs]'

test:  ## the whole suite
	$(PYTHON) -m pytest -n auto --dist loadfile

quick:  ## the suite without science and browser: minutes instead of a quarter of an hour
	$(PYTHON) -m pytest -n auto --dist loadfile --ignore=tests/science --ignore=tests/viz

lint:  ## what .ci/run checks beside the tests
	$(PYTHON) -m ruff format --check . && $(PYTHON) -m ruff check . && $(PYTHON) -m mypy && .venv/bin/lint-imports

format:  ## put the code into the house's form
	$(PYTHON) -m ruff format . && $(PYTHON) -m ruff check --fix .

baseline:  ## after a change that is meant to move numbers: freeze them anew, and say so in the CHANGELOG under Numbers
	$(PYTHON) -m tests.baseline.refresh

schema:  ## after a change of what a scenario may say: the file by which editors complete and check scenarios
	$(PYTHON) -c "import json; from tme_abm.scenario import kinds, reading; \
	    reading.schema_file().write_text(json.dumps(kinds.schema(), indent=2) + '\n', encoding='utf-8')"

page:  ## two marrows side by side in the browser
	.venv/bin/tme view icaria

docs:  ## the site, into site/, to be read from disk
	.venv/bin/pip install -q -e '.[docs]' && NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

tables:  ## after a change of what the code declares: the tables in docs/ that follow from it
	$(PYTHON) -m docs_site

package:  ## source archive and wheel, installed into an empty environment and run elsewhere
	.ci/package

all:  ## everything that must hold before a change is accepted
	.ci/run
