"""`python -m servelint`.

Python puts the working directory first where modules are looked for, so a checked folder with a `click.py` in
it would be executed. It is taken out again before anything is imported that Python has not loaded itself.
"""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]

    from servelint.cli import main

    main()
