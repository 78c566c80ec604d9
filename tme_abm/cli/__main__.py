"""`python -m tme_abm.cli` is `tme`."""

from tme_abm.cli.app import main

if __name__ == "__main__":
    main()
