"""The command `tme`, and `python -m tme_abm.cli`: a Ctrl-C during its imports ends it without a traceback, too."""

import sys


def main() -> None:
    """Entry point of the command `tme`."""
    try:
        from tme_abm.cli.app import main as begin

        begin()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as end:
        from tme_abm.cli.output import leave

        leave(end.code)
        raise


if __name__ == "__main__":
    main()
