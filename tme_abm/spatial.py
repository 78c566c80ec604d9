"""x"""


def to_anndata(): ...
