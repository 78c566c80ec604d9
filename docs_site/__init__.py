"""The site and the tables of the documentation, made from what the code declares.

`mkdocs build` (or `make docs`) makes the site; `python -m docs_site` (or `make tables`) writes the tables in docs/ that follow from
the code.
"""
