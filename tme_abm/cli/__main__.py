"""The command `tme`, and `python -m tme_abm.cli`: a Ctrl-C that comes while the command is still being imported ends it without a word, too."""

import sys


def main() -> None:
    """Entry point of the command `tme`."""
    try:
        from tme_abm.cli.app import main as begin

        begin()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
