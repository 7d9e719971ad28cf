# The syncer image, for users with a container engine. The lab builds the same image without one: hack/labkit/images.py.
FROM python:3.11-slim-bookworm AS build
COPY requirements/runtime.lock /src/requirements/
RUN pip install --no-cache-dir --target /opt/syncer --require-hashes -r /src/requirements/runtime.lock
COPY pyproject.toml README.md LICENSE /src/
COPY vcp /src/vcp
COPY syncer /src/syncer
COPY kube /src/kube
COPY manifests /src/manifests
RUN pip install --no-cache-dir --target /opt/syncer --no-deps /src

FROM python:3.11-slim-bookworm
COPY --from=build /opt/syncer /opt/syncer
ENV PYTHONPATH=/opt/syncer PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["python3", "-m", "syncer"]
