"""The one door to the syntax tree of a Python file, whatever side of the program asks for it.

Files are parsed by the Python that runs servelint, which may be older than the code. What it refuses is read
by libcst, whose parser knows later versions, and told in words that this Python understands
(`servelint.project.text.newer`); everything stands where it stood. libcst is imported for such a file only.
"""

from __future__ import annotations

import ast
import warnings


def parse(data: bytes | str) -> ast.Module:
    """The syntax tree of a file's bytes or text.

    Raises SyntaxError, ValueError (null bytes, an encoding) or RecursionError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes of the code that is read are not ours to report
        try:
            return ast.parse(data)
        except SyntaxError as error:
            from servelint.project.text.newer import older

            told = older(data)
            if told is None:
                raise
            try:
                return told.tree()
            except (SyntaxError, ValueError):
                raise error from None


def unparsed(node: ast.AST) -> str:
    """The node as Python writes it, whatever its layout was: the same for two nodes that say the same.

    What this Python has no way to write, such as an f-string that needs a newer one, is told by structure.
    Raises RecursionError.
    """
    try:
        return ast.unparse(node)
    except ValueError:
        return ast.dump(node)
