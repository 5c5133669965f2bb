# Certwright's image: an interpreter, what it needs, and nothing to run but `certwright`. docs/image.md says what is in it.
#
#   docker build -t certwright .
#   buildah --storage-driver vfs bud --isolation chroot --build-arg BASE=... -t certwright .
#
# BASE is any Debian with Python 3.11 or newer, its venv module and ca-certificates. Nothing of it but files that are needed
# gets into the result. The default is pinned by its digest, so that a tag that moves changes nothing unseen: docs/image.md
# says how to take a newer one. Where no package index can be reached, put wheels into requirements/wheels.
ARG BASE=docker.io/library/python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b


# What is installed from the lock: changes rarely, takes a minute, is one layer of the image.
FROM ${BASE} AS dependencies
ENV PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements /build/requirements
RUN set -eu; \
    python3 -m venv --without-pip /certwright; \
    python3 -m venv /build/tools; \
    offline=; \
    if [ -d /build/requirements/wheels ]; then offline="--no-index --find-links=/build/requirements/wheels"; fi; \
    locked="--quiet --no-deps --require-hashes --only-binary=:all: --no-compile $offline"; \
    /build/tools/bin/pip --python /certwright/bin/python3 install $locked -r /build/requirements/runtime.txt; \
    /build/tools/bin/pip install $locked -r /build/requirements/build.txt; \
    rm -rf /build/requirements
COPY docker /build/docker
# Without the columns of each instruction the byte code is smaller, on disk and in memory; tracebacks have their lines.
RUN PYTHONPATH=/build/docker PYTHONNODEBUGRANGES=1 python3 -m rootfs base /certwright /rootfs


# The project itself: seconds, and a small layer.
FROM dependencies AS project
COPY pyproject.toml README.md LICENSE /build/project/
COPY operator /build/project/operator
# The last lines run inside what will be the image, as its user: is everything there?
RUN set -eu; \
    cd /build/project; \
    /build/tools/bin/pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /build/dist .; \
    /build/tools/bin/pip --python /certwright/bin/python3 install --quiet --no-deps --no-index --no-compile /build/dist/*.whl; \
    PYTHONPATH=/build/docker PYTHONNODEBUGRANGES=1 python3 -m rootfs project /certwright /project; \
    cp -a /project/. /rootfs/; \
    cp /build/docker/check_root.py /rootfs/check_root.py; \
    chroot --userspec=65532:65532 /rootfs /certwright/bin/python3 -B /check_root.py; \
    chroot --userspec=65532:65532 /rootfs /certwright/bin/certwright run --help > /dev/null; \
    chroot --userspec=65532:65532 /rootfs /certwright/bin/certwright version


FROM scratch
COPY --from=dependencies /rootfs /
COPY --from=project /project /
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Certwright" \
      org.opencontainers.image.description="Automatic TLS certificates for Kubernetes, from Let's Encrypt and any other ACME CA" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/certwright/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080 8089
ENTRYPOINT ["certwright"]
CMD ["run"]
