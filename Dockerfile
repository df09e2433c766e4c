# servelint for CI systems without Python:
#   docker build -t servelint . && docker run --rm -v "$PWD:/project:ro" servelint check
FROM python:3.13-slim AS build
COPY pyproject.toml hatch_build.py README.md LICENSE /build/
COPY rules /build/rules
COPY src /build/src
RUN python -m venv /opt/servelint \
    && /opt/servelint/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check /build \
    && /opt/servelint/bin/pip uninstall --yes --quiet --disable-pip-version-check pip

FROM python:3.13-slim
# `--since` asks git, which obeys no configuration of the project or of the image.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/servelint /opt/servelint
ENV PATH=/opt/servelint/bin:$PATH PYTHONDONTWRITEBYTECODE=1 SERVELINT_CACHE_DIR=/tmp/servelint
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
WORKDIR /project
ENTRYPOINT ["servelint"]
CMD ["check"]
