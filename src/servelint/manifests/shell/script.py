"""What a shell script runs, with the values its variables have at that point.

Every branch is walked, because which one runs depends on the deployment. After a condition the variables
are those of the branch that the known values choose; where they choose none, a variable that had no value
takes the first one a branch gives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from servelint.boundary import LimitError
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, word
from servelint.manifests.shell.commandline import PER_CORE, UNKNOWN, Words
from servelint.manifests.shell.syntax import Syntax, parse
from servelint.manifests.shell.values import Evaluator, Scope

if TYPE_CHECKING:
    from tree_sitter import Node

_NUMBER = re.compile(r"[0-9]{1,18}")
_DECLARATIONS = frozenset(("export", "local", "readonly", "declare", "typeset"))
# What runs or not as things go.
_CONDITIONAL = frozenset(("list", "while_statement", "for_statement", "c_style_for_statement", "case_item"))
_MAX_CALLS = 200
_MAX_NESTING = 200
_COST = 10  # of visiting one node of the tree, in characters


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One command as it is run."""

    words: Words
    environment: Environment


@dataclass(slots=True)
class Script:
    """What a script does, as far as it concerns us: its commands, and the documents it writes out."""

    commands: list[SimpleCommand] = field(default_factory=list)
    heredocs: list[Located] = field(default_factory=list)


def read(
    code: Located, environment: Environment, parameters: Words = (), name: Located | None = None
) -> Script:
    """The commands and here-documents of a script started with this environment and these parameters.

    `name` is what it calls itself, where that is known. Raises `LimitError`, with the place.
    """
    syntax = parse(code)
    walk = _Walk(syntax, Evaluator(syntax))
    try:
        walk.visit(syntax.root, Scope(environment, parameters, name=name))
        walk.uncalled(Scope(environment, parameters, name=name))
    except LimitError as error:
        place = syntax.text(walk.node or syntax.root).place
        error.line, error.path = error.line or place.span.line, error.path or place.source.path
        raise
    return walk.script


@dataclass(slots=True)
class _Walk:
    syntax: Syntax
    evaluator: Evaluator
    script: Script = field(default_factory=Script)
    functions: dict[str, Node] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    calls: int = 0
    # The functions being run, each with the number of conditions around its call.
    running: dict[str, int] = field(default_factory=dict)
    conditions: int = 0
    nesting: int = 0
    node: Node | None = None  # the command that is looked at

    def visit(self, node: Node, scope: Scope) -> None:
        """Run a node."""
        self.node = node
        self.nesting += 1
        self.evaluator.budget.spend(_COST)
        if self.nesting > _MAX_NESTING:
            raise LimitError(f"shell code nested more than {_MAX_NESTING} levels deep")
        self.run(node, scope)
        self.nesting -= 1

    def run(self, node: Node, scope: Scope) -> None:
        match node.type:
            case "command":
                self.command(node, scope)
            case "declaration_command":
                self.declaration(node, scope)
            case "variable_assignment":
                self.assign(node, scope)
            case "unset_command":
                for child in node.children:
                    scope.variables.pop(self.syntax.raw(child), None)
            case "function_definition":
                name = node.child_by_field_name("name")
                body = node.child_by_field_name("body")
                if name is not None and body is not None:
                    self.functions[self.syntax.raw(name)] = body
            case "if_statement":
                self.condition(node, scope)
            case "case_statement":
                self.branches([child for child in node.children if child.type == "case_item"], scope)
            case "for_statement":
                variable = node.child_by_field_name("variable")
                if variable is not None:
                    scope.variables[self.syntax.raw(variable)] = None
                self.children(node, scope)
            case "subshell":
                self.children(node, self.copy(scope))
            case "redirected_statement":
                self.redirected(node, scope)
            case "heredoc_body":
                self.script.heredocs.append(self.syntax.text(node))
            case "test_command" | "comment" | "word" | "string" | "raw_string":
                pass
            case _:
                self.children(node, scope)

    def children(self, node: Node, scope: Scope) -> None:
        conditional = node.type in _CONDITIONAL
        self.conditions += conditional
        if node.type == "list":
            self.chain(_listed(node), scope)
        else:
            for child in node.children:
                self.visit(child, scope)
        self.conditions -= conditional

    def chain(self, nodes: list[Node], scope: Scope) -> None:
        """`a && b || c`: what a test keeps from running changes nothing for what comes after."""
        outcome: bool | None = None
        wanted: bool | None = None  # what the one before has to have been
        for node in nodes:
            if node.type in ("&&", "||"):
                wanted = node.type == "&&"
            elif wanted is None or outcome is None or outcome is wanted:
                self.visit(node, scope)
                outcome = self.decide(node, scope)
            else:
                self.visit(node, self.copy(scope))

    def copy(self, scope: Scope) -> Scope:
        """A scope that can be changed alone."""
        self.evaluator.budget.spend(len(scope.variables) + len(scope.exported))
        return scope.copy()

    def redirected(self, node: Node, scope: Scope) -> None:
        for child in node.children:
            if child.type == "heredoc_redirect":
                for part in child.children:
                    if part.type in ("heredoc_body", "pipeline", "list", "command"):
                        self.visit(part, scope)
            elif child.type != "file_redirect":
                self.visit(child, scope)

    def uncalled(self, scope: Scope) -> None:
        """Functions that nothing here calls may be called by a script that sources this one."""
        for name, body in list(self.functions.items()):
            if name not in self.called:
                self.called.add(name)
                self.visit(body, self.copy(scope))

    def command(self, node: Node, scope: Scope) -> None:
        words: list[Located] = []
        local: dict[str, Located | None] = {}
        for child in node.children:
            if child.type == "variable_assignment":
                name, value = self.assignment(child, scope)
                local[name] = value[0] if value and len(value) == 1 else None
            elif child.type == "command_name":
                words.extend(self.evaluator.words(child.children[0] if child.children else child, scope))
            elif child.type.endswith("redirect"):
                self.redirected(child, scope)
            elif child.is_named:
                words.extend(self.evaluator.words(child, scope))
        if not words:
            return
        visible = scope.visible()
        self.evaluator.budget.spend(len(visible.values))
        environment = Environment({**visible.values, **local}, visible.open_ended)
        self.builtin(tuple(words), scope, environment)

    def builtin(self, words: Words, scope: Scope, environment: Environment) -> None:
        name = words[0].text
        body = self.functions.get(name)
        if body is not None and self.calls < _MAX_CALLS:
            self.call(name, body, words[1:], scope)
        elif name == "set":
            texts = [word.text for word in words]
            if "--" in texts:
                scope.parameters = words[texts.index("--") + 1 :]
            if "-a" in texts or "allexport" in texts:
                scope.exported.add("*")
        elif name == "shift":
            scope.parameters = scope.parameters[1:]
        elif name == "read":
            for word in words[1:]:
                scope.variables[word.text] = None
        elif name == "eval":
            code = Located.join(
                part for word in words[1:] for part in (Located.computed(" ", word.place), word)
            )
            self.script.commands.append(SimpleCommand((words[0], code), environment))
        else:
            self.script.commands.append(SimpleCommand(words, environment))

    def call(self, name: str, body: Node, arguments: Words, scope: Scope) -> None:
        """Run a function; one that calls itself on some condition (to retry) is not entered again."""
        if name in self.running:
            if self.running[name] == self.conditions:
                raise LimitError("a function that calls itself without end")
            return
        self.calls += 1
        self.called.add(name)
        self.running[name] = self.conditions
        parameters, scope.parameters = scope.parameters, arguments
        self.visit(body, scope)
        scope.parameters = parameters
        del self.running[name]

    def declaration(self, node: Node, scope: Scope) -> None:
        exports = self.syntax.raw(node).startswith(("export", "declare -x", "typeset -x"))
        for child in node.children:
            if child.type == "variable_assignment":
                self.assign(child, scope)
                if exports:
                    scope.exported.add(self.name(child))
            elif child.type == "variable_name" and exports:
                scope.exported.add(self.syntax.raw(child))

    def name(self, node: Node) -> str:
        child = node.child_by_field_name("name")
        return self.syntax.raw(child) if child is not None else ""

    def assign(self, node: Node, scope: Scope) -> None:
        name, value = self.assignment(node, scope)
        if name:
            scope.variables[name] = value
            if "*" in scope.exported:
                scope.exported.add(name)

    def assignment(self, node: Node, scope: Scope) -> tuple[str, Words | None]:
        name, value = self.name(node), node.child_by_field_name("value")
        appends = any(child.type == "+=" for child in node.children)
        if value is None:
            end = self.syntax.end(node)
            return name, (self.syntax.code.slice(end, end),)
        if value.type == "array":
            words = tuple(
                word
                for child in value.children
                if child.is_named
                for word in self.evaluator.words(child, scope)
            )
            before = scope.variables.get(name) or () if appends else ()
            self.evaluator.budget.spend(len(before))
            return name, (*before, *words)
        located = self.evaluator.value(value, scope)
        if appends:
            before = scope.variables.get(name) or ()
            self.evaluator.budget.spend(sum(len(part) for part in before))
            return name, (word([*before, located]),)
        return name, (located,)

    def condition(self, node: Node, scope: Scope) -> None:
        """`if`, `elif`, `else`: each branch on its own; then the variables of the one that runs."""
        taken: Scope | None = None
        undecided: list[Scope] = []
        settled = False
        self.conditions += 1
        for test, body in _clauses(node):
            outcome = True if test is None else self.decide(test, scope)
            branch = self.copy(scope)
            for part in body if test is None else (test, *body):
                self.visit(part, branch)
            if settled or outcome is False:
                continue
            settled = bool(outcome)
            if outcome and not undecided:
                taken = branch
            else:
                undecided.append(branch)
        self.conditions -= 1
        self.merge(scope, taken, undecided)

    def branches(self, items: list[Node], scope: Scope) -> None:
        """The items of a `case`, of which any may run."""
        undecided: list[Scope] = []
        for item in items:
            branch = self.copy(scope)
            self.children(item, branch)
            undecided.append(branch)
        self.merge(scope, None, undecided)

    def merge(self, scope: Scope, taken: Scope | None, undecided: list[Scope]) -> None:
        if taken is not None:
            scope.variables, scope.exported, scope.parameters = (
                taken.variables,
                taken.exported,
                taken.parameters,
            )
            return
        for branch in undecided:
            scope.exported |= branch.exported
            for name, value in branch.variables.items():
                current = scope.variables.get(name)
                if name not in scope.variables or not current or not any(word.text for word in current):
                    scope.variables[name] = value

    def decide(self, node: Node, scope: Scope) -> bool | None:
        """Whether a test holds, where its operands are known."""
        if node.type != "test_command":
            return None
        inner = [child for child in node.children if child.is_named]
        if len(inner) != 1:
            return None
        texts = [self.operand(child, scope) for child in _operands(inner[0])]
        if any(UNKNOWN in text for text in texts):
            return None
        operators = [self.syntax.raw(child) for child in inner[0].children if child.type == "test_operator"]
        if inner[0].type == "unary_expression" and texts and operators:
            return {"-z": not texts[0], "-n": bool(texts[0])}.get(operators[0])
        if inner[0].type == "binary_expression" and len(texts) == 2:
            operator = operators[0] if operators else self.syntax.raw(inner[0].children[1])
            return _compare(operator, *texts)
        return None

    def operand(self, node: Node, scope: Scope) -> str:
        return self.evaluator.value(node, scope).text


def _clauses(node: Node) -> Iterator[tuple[Node | None, list[Node]]]:
    """The branches of an `if`: the test, None for `else`, and what is run."""
    test: Node | None = None
    body: list[Node] = []
    later: list[Node] = []
    for child in node.children:
        if child.type in ("elif_clause", "else_clause"):
            later.append(child)
        elif child.is_named and test is None and node.type != "else_clause":
            test = child
        elif child.is_named:
            body.append(child)
    yield test, body
    for clause in later:
        yield from _clauses(clause)


def _listed(node: Node) -> list[Node]:
    """The commands of `a && b || c`, which the grammar nests to the left, each list in the next."""
    found: list[Node] = []
    while node.type == "list":
        first, *others = node.children
        found.extend(reversed(others))
        node = first
    return [node, *reversed(found)]


def _operands(node: Node) -> Iterator[Node]:
    return (child for child in node.children if child.is_named and child.type != "test_operator")


def _compare(operator: str, left: str, right: str) -> bool | None:
    if operator in ("=", "=="):
        return left == right
    if operator == "!=":
        return left != right
    left, right = left.removeprefix(PER_CORE), right.removeprefix(PER_CORE)
    if not (_NUMBER.fullmatch(left) and _NUMBER.fullmatch(right)):
        return None
    first, second = int(left), int(right)
    return {
        "-eq": first == second,
        "-ne": first != second,
        "-gt": first > second,
        "-ge": first >= second,
        "-lt": first < second,
        "-le": first <= second,
    }.get(operator)
