"""Entry point: errors are told in a sentence with a way out, never as a trace."""

from __future__ import annotations

import sys

from troth.kit.errors import TrothError
from troth.main.terminal import shown


def main() -> None:
    """Run the command that was given."""
    try:
        if sys.argv[1:2] == ["check"]:
            # Imported here: editors and CI check a notice at every change, and a whole node takes seconds to import.
            from troth.main import checking

            checking.main(sys.argv[2:])
        else:
            from troth.main.commands import app

            app(standalone_mode=True)
    except TrothError as fault:
        sys.stderr.write(f"troth: {shown(fault.detail)}\n")
        if fault.hint:
            sys.stderr.write(f"       {shown(fault.hint)}\n")
        sys.exit(1)
    except OSError as fault:
        if fault.filename is None:
            raise
        sys.stderr.write(f"troth: {shown(str(fault.filename))}: {fault.strerror}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
