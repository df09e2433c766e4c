"""Finds the files that matter and turns them into one deployment.

A repository may hold thousands of manifests. Whether one matters is decided by its bytes; only those that
do are parsed.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from servelint.boundary import Boundary
from servelint.finding import Problem
from servelint.knowledge.servers import servers
from servelint.manifests.deployed import foreign, others, scripts
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.deployed.images import ImageIndex
from servelint.manifests.deployed.others import TEST_FOLDER, Others
from servelint.manifests.deployed.reading import Reader
from servelint.manifests.deployed.relevance import Relevance
from servelint.manifests.deployed.start import Context, Start
from servelint.manifests.deployed.starts import Follower, is_python
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, YamlMapping
from servelint.manifests.forms import (
    compose,
    dockerfile,
    hcl,
    kubernetes,
    kustomize,
    masking,
    processes,
    tasks,
    terraform,
)
from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.resources import Container, Resources, Setting, Workload
from servelint.manifests.forms.sources import Sources, Tree
from servelint.manifests.helm import charts as helm
from servelint.manifests.python.module import forget_trees
from servelint.manifests.shell.commandline import count
from servelint.project.text.source import Source

_YAML = (".yaml", ".yml")
_NO_SCRIPTS = (*_YAML, ".tpl", ".tftpl", ".json", *others.SUFFIXES, *terraform.SUFFIXES)
_FROM = re.compile(r"\s*+(?:#.*\n\s*+)*+FROM\s")
_API_VERSION = re.compile(r"^apiVersion:", re.MULTILINE)
_WORD = re.compile(rb"[\w.-]+")


def deployment(tree: Tree) -> tuple[Deployment, tuple[Problem, ...]]:
    """Everything the tree's manifests describe, and the files that could not be read."""
    sources = Sources(tree)
    collector = _Collector(sources, Deployment(tree.root))
    collector.run()
    forget_trees()
    return collector.deployment, sources.problems


class _Collector:
    """Reads the tree kind by kind; what images start is known before the workloads that run them."""

    def __init__(self, sources: Sources, deployment: Deployment) -> None:
        self.sources = sources
        self.deployment = deployment
        self.follower = Follower(sources)
        self.images = ImageIndex(sources.tree.root)
        self.relevance = Relevance(sources)
        self.reader = Reader(sources)
        self._terraform: dict[Path, dict[str, Node]] = {}
        self.applied: dict[str, YamlMapping] = {}  # the ConfigMaps of plain files

    def run(self) -> None:
        paths = self.sources.tree.manifests
        self.add_dockerfiles(path for path in paths if is_dockerfile(path.name))
        charts: list[helm.Chart] = []
        with self.boundary(self.sources.tree.root, "finding charts"):
            charts = helm.charts(self.sources)
        templates = {path for chart in charts for path in chart.templates}
        documents = [path for path in paths if path not in templates and self.is_yaml(path)]
        self.add_compose(path for path in documents if compose.is_compose(path, self.sources.data(path)))
        self.add_kubernetes(documents)
        self.add_kustomizations(paths)
        self.add_charts(charts, documents)
        self.add_terraform(path for path in paths if path.suffix in terraform.SUFFIXES)
        Others(self).add(paths)
        self.add_processes(paths)
        self.add_lone_images()
        self.add_lone_files()

    def is_yaml(self, path: Path) -> bool:
        """Whether a file is YAML, or a template for it by its name or by how its lines begin."""
        suffix = masking.suffix(path)
        if suffix == ".json":
            return b'"apiVersion"' in self.sources.data(path)
        return suffix in _YAML or (suffix == ".tftpl" and b"apiVersion" in self.sources.top_keys(path))

    def boundary(self, path: Path, stage: str) -> Boundary:
        """Keeps what goes wrong with one file from the others."""
        return Boundary(path, stage, self.sources.note)

    def add_dockerfiles(self, paths: Iterable[Path]) -> None:
        for path in paths:
            source = self.sources.source(path)
            if source is not None:
                with self.boundary(path, "reading the Dockerfile"):
                    self.add_stages(path, Located.of(source))

    def add_stages(self, path: Path, text: Located) -> list[Image]:
        stages = dockerfile.stages(text)
        found = [Image(path, stage, stage is stages[-1]) for stage in stages]
        self.images.add(found, self.starts_of(found))
        return found

    def starts_of(self, images: Iterable[Image]) -> dict[int, list[Start]]:
        """What each image starts when nothing else is said."""
        starts: dict[int, list[Start]] = {}
        for image in images:
            context = Context(Setting.IMAGE, image.path.parent, image=image, folder=image.stage.folder)
            self.follower.spent = 0
            starts[id(image)] = list(self.follower.image(image, environment_of(image), context))
        return starts

    def add_compose(self, paths: Iterable[Path]) -> None:
        files = {
            path: self.reader.documents(path)
            for path in paths
            if self.images.starts or self.relevance.matters(path) or self.relevance.may_run_program(path)
        }
        for path in files:
            with self.boundary(path, "reading the compose file"):
                for workload, image in compose.workloads(path, files, self.sources, self.images):
                    self.follow(workload, {}, image)

    def add_kubernetes(self, paths: list[Path]) -> None:
        found = Resources()
        left: list[Path] = []
        for path in paths:
            if self.relevance.matters(path) or (
                (self.images.starts or self.relevance.may_run_program(path))
                and self.describes(path, b"containers:", b"ConfigMap")
            ):
                self.add_resources(found, path)
            else:
                left.append(path)
        targets = {
            autoscaler.target_name.encode(errors="replace")
            for autoscaler in found.autoscalers
            if autoscaler.target_name
        }
        for path in left if targets else ():
            # What is scaled, and what a namespace gives it by default, may stand in files of their own.
            if self.describes(path, b"containers:", b"LimitRange") or (
                self.describes(path, b"kind:")
                and not targets.isdisjoint(_WORD.findall(self.sources.data(path)))
            ):
                self.add_resources(found, path)
        self.applied = found.config_maps
        self.add_scope(found)

    def add_terraform(self, paths: Iterable[Path]) -> None:
        found = Resources()
        for path in paths:
            data = self.sources.data(path)
            if (
                self.relevance.matters(path)
                or any(word in data for word in terraform.SCALING)
                or (self.images.starts and b"container" in data)
            ):
                source = self.sources.source(path)
                if source is not None:
                    with self.boundary(path, "reading Terraform"):
                        names = (
                            self.terraform_names(path.parent) if b"var." in data or b"local." in data else {}
                        )
                        code = Located.of(source)
                        found.extend(terraform.resources(code, path, self.reader.written, names))
        self.add_scope(found)

    def terraform_names(self, folder: Path) -> dict[str, Node]:
        """The variables with a default, and the locals, of a folder of Terraform."""
        known = self._terraform.get(folder)
        if known is None:
            known = self._terraform[folder] = {}
            for path in self.sources.tree.manifests:
                data = self.sources.data(path) if path.parent == folder else b""
                wanted = path.suffix in terraform.SUFFIXES and (b"variable " in data or b"locals" in data)
                source = self.sources.source(path) if wanted else None
                if source is not None:
                    with self.boundary(path, "reading variables of Terraform"):
                        known.update(hcl.named(hcl.parse(Located.of(source), self.reader.written)))
        return known

    def add_resources(self, found: Resources, path: Path) -> None:
        for document in self.reader.documents(path):
            with self.boundary(path, "reading a Kubernetes manifest"):
                found.extend(kubernetes.resources([document], path))

    def describes(self, path: Path, *words: bytes) -> bool:
        data = self.sources.data(path)
        return b"kind:" in data and any(word in data for word in words)

    def add_kustomizations(self, paths: Iterable[Path]) -> None:
        """What overlays make of their bases; bases and patches by themselves are judged already."""
        variables = functools.cache(functools.partial(compose.dotenv, self.sources))
        builder = kustomize.Builder(
            self.sources.known_paths, functools.cache(self.reader.documents), variables
        )
        for path in paths:
            if path.name not in kustomize.NAMES:
                continue
            with self.boundary(path, "building the kustomization"):
                if builder.patches(path) and (
                    self.images.starts
                    or any(self.relevance.matters(other) for other in builder.involved(path))
                ):
                    self.add_scope(kubernetes.resources(builder.build(path), path))

    def add_charts(self, charts: list[helm.Chart], documents: list[Path]) -> None:
        owned = helm.by_owner(charts, documents)
        found = foreign.Releases(self.sources, self.reader, charts)
        templates = {path for chart in charts for path in chart.templates}
        for path in self.sources.tree.manifests:
            if path not in templates:
                with self.boundary(path, "reading the releases of charts"):
                    found.read(path)
        for chart in charts:
            with self.boundary(chart.folder / "Chart.yaml", "rendering the chart"):
                self.add_chart(chart, [*owned.get(chart.folder, ()), *owned.get(None, ())])
        with self.boundary(self.sources.tree.root, "reading what is said to charts elsewhere"):
            for _, said in found.resources(documents):
                self.add_scope(said)

    def add_chart(self, chart: helm.Chart, values: list[Path]) -> None:
        helm.attach_values(chart, values)
        serves = self.chart_serves(chart)
        if not serves and not helm.autoscaler_templates(chart):
            return
        for variant in chart.variants(servers=serves):
            scope = Resources()
            for rendered in variant.rendered:
                with self.boundary(rendered.template, "reading what the template renders to"):
                    scope.extend(kubernetes.resources(rendered.documents, rendered.template))
            self.deployment.readers.update(variant.readers)
            self.deployment.switches.update(variant.switches)
            self.add_scope(scope)

    def chart_serves(self, chart: helm.Chart) -> bool:
        """Whether a chart names a server, or may run an image of this project that starts one."""
        paths = (
            *chart.templates,
            *(path for path in (chart.values_path, *chart.extra_values) if path is not None),
        )
        return bool(self.images.starts) or any(
            self.relevance.names_server(path)
            or self.relevance.names_variable(path)
            or self.relevance.may_run_program(path)
            for path in paths
        )

    def add_scope(self, found: Resources) -> None:
        """Add documents that know each other: a release of a chart, or everything in plain files."""
        self.deployment.scopes.append(found)
        for workload in found.workloads:
            # A chart may run with a ConfigMap that is applied apart from it.
            apart = {name: self.applied[name] for name in workload.config_maps() if name in self.applied}
            self.follow(workload, {**apart, **found.config_maps}, None)

    def follow(self, workload: Workload, config_maps: dict[str, YamlMapping], image: Image | None) -> None:
        for described in workload.containers:
            reader = kubernetes.with_config_maps(described, config_maps)
            self.deployment.read.append((f"{workload.kind} {workload.namespace} {workload.name}", reader))
            if not described.init and not workload.batch:
                with self.boundary(workload.path, "following what a container runs"):
                    self.follow_container(workload, described, config_maps, image)

    def follow_container(
        self,
        workload: Workload,
        described: Container,
        config_maps: dict[str, YamlMapping],
        image: Image | None,
    ) -> None:
        container = kubernetes.with_config_maps(described, config_maps)
        built = image or self.images.find(container)
        if built is not None:
            self.images.run_by(workload, container, built)
            if workload.setting is Setting.KUBERNETES:
                self.deployment.run.add(built.path)
        context = Context(
            workload.setting,
            workload.folder or workload.path.parent,
            workload,
            container,
            built,
            config_maps=config_maps,
        )
        self.deployment.add(self.follower.container(context))

    def add_processes(self, paths: Iterable[Path]) -> None:
        for path in paths:
            if not self.relevance.names_server(path):
                continue
            kind = processes.kind_of(path) or processes.kind_in(self.sources.data(path))
            source = self.sources.source(path) if kind is not None else None
            if kind is not None and source is not None:
                with self.boundary(path, "reading the list of processes"):
                    self.add_process_list(source, kind)

    def add_process_list(self, source: Source, kind: processes.Kind) -> None:
        context = Context(Setting.PROCESS, source.path.parent)
        variables = processes.variables(source, kind)
        for command in processes.commands(source, kind):
            self.follower.spent = 0
            for start in self.follower.code(command.code, variables, (), context, 0):
                copies = count(command.copies) if command.copies is not None else None
                if copies is None or start.workers is not None:
                    self.deployment.add([start])
                if copies is not None:
                    workers = replace(copies, variable="numprocs")
                    self.deployment.add([replace(start, workers=workers)])

    def add_lone_images(self) -> None:
        for starts in self.images.unreplaced():
            self.deployment.add(starts)

    def add_lone_files(self) -> None:
        """Scripts that an image or a manifest names without our seeing how it runs them; calls in Python."""
        for path in self.sources.tree.manifests:
            if path.suffix in _NO_SCRIPTS or is_dockerfile(path.name) or processes.kind_of(path) is not None:
                continue
            if (
                path not in self.follower.scripts_read
                and self.relevance.matters(path)
                and not tasks.LISTS.fullmatch(path.name)
                and path.name not in ("pyproject.toml", scripts.IGNORING)
            ):
                with self.boundary(path, "reading the script"):
                    self.add_script(path)
        for path in self.sources.tree.python:
            if path in self.follower.scripts_read or TEST_FOLDER.search(self.deployment.relative(path)):
                continue
            if path.name in self.configuration_files or self.relevance.calls_server(path):
                with self.boundary(path, "reading how a server is started"):
                    self.add_python(path)

    def add_script(self, path: Path) -> None:
        from servelint.manifests.shell import script as shell

        source = self.sources.source(path)
        if source is None or path.suffix == ".toml" or path.name.startswith(".env"):
            return
        if is_python(source):
            # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
            image = self.copied.image(path)
            if image is not None:
                context = Context(Setting.IMAGE, path.parent, image=image, folder=image.stage.folder)
                self.deployment.add(self.follower.python(path, environment_of(image), context))
            return
        script = shell.read(Located.of(source), Environment())
        self.add_heredocs(script.heredocs, path)
        context, commands = Context(Setting.IMAGE, path.parent), script.commands
        writes = any(_FROM.match(heredoc.text) for heredoc in script.heredocs)
        unnamed = False
        if not self.in_image(path):
            image = self.copied.supervised(path)
            if image is None and path == self.startup:
                context = replace(context, setting=Setting.PLATFORM)
            elif image is None and not writes and (image := self.copied.script(path)) is not None:
                commands, unnamed = scripts.lasting(commands), True
            if image is not None:
                context = replace(context, image=image, folder=image.stage.folder)
            elif context.setting is not Setting.PLATFORM:
                return
        for command in commands:
            self.follower.spent = 0
            starts = self.follower.words(command.words, command.environment, context)
            self.deployment.add(replace(start, unnamed=unnamed) for start in starts)

    def add_heredocs(self, heredocs: Iterable[Located], path: Path) -> None:
        """What a script writes out: Dockerfiles, and manifests for `kubectl apply -f -`."""
        found = Resources()
        for heredoc in heredocs:
            if _FROM.match(heredoc.text):
                for starts in self.starts_of(self.add_stages(path, heredoc)).values():
                    self.deployment.add(starts)
            elif _API_VERSION.search(heredoc.text):
                found.extend(kubernetes.resources(self.reader.written(heredoc), path))
        if found.workloads or found.autoscalers:
            self.add_scope(found)

    @functools.cached_property
    def startup(self) -> Path | None:
        """The script that App Service starts, if something deploys to it: the outermost of the usual name."""
        paths = self.sources.tree.manifests
        named = [path for path in paths if path.name == processes.STARTUP]
        used = named and any(
            word in self.sources.data(path) for path in paths for word in processes.APP_SERVICE
        )
        return min(named, key=lambda path: len(path.parts)) if used else None

    @functools.cached_property
    def copied(self) -> scripts.Copied:
        """The folders that images copy; asked when all images are known."""
        return scripts.Copied(self.sources, self.images.images, self.images.runs_own)

    def add_python(self, path: Path) -> None:
        context = Context(Setting.PROCESS, path.parent)
        if path.name in self.configuration_files:
            self.deployment.add(self.follower.lone_configuration(path, context))
        else:
            starts = self.follower.python(path, Environment(), context, runs=False)
            # A default is not what runs where a container has the variable.
            self.deployment.add(
                start
                for start in starts
                if start.workers is None or not self.deployment.says(start.workers.unless)
            )

    @property
    def configuration_files(self) -> frozenset[str]:
        return frozenset(name for server in servers().servers for name in server.configuration.files)

    def in_image(self, path: Path) -> bool:
        """Whether a Dockerfile, a compose file or a workload names a file."""
        name = re.escape(os.fsencode(path.name))
        if not path.suffix:  # `run` and `start` are words of many other things too
            name = rb"(?<![\w.-])" + name + rb"(?![\w.-])"
        return self.images.names(path.name) or any(
            re.search(name, self.sources.data(other)) for other in self.runners
        )

    @functools.cached_property
    def runners(self) -> list[Path]:
        """The files that say what an image or a service runs."""
        return [
            path
            for path in self.sources.tree.manifests
            if path.name == "Procfile" or compose.NAME.fullmatch(path.name) or is_dockerfile(path.name)
        ]


def environment_of(image: Image) -> Environment:
    """The variables that an image sets."""
    return Environment(dict(image.stage.environment))


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is a Dockerfile."""
    return dockerfile.NAME.fullmatch(name) is not None
