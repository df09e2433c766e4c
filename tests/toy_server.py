"""`servelint` with the toy engine, as a process of its own."""

import toy

from servelint import cli, lint

lint.analyse = toy.analyse
cli.main()
