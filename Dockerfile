# The action's image: its entrypoint, the command line, and what a vendor's PKCS#11 module needs to load.
#
# Builds with BuildKit and with the legacy builder, so no RUN --mount and no COPY --chmod. The release
# workflow pins both bases: --build-arg GO_IMAGE=golang:1.26-bookworm@sha256:… --build-arg BASE_IMAGE=…
#
# The program uses cgo, so the builder's glibc (bookworm: 2.36) must not be newer than the runtime's
# (Debian 13: 2.41); the runtime's is also the newest that a copied module may ask for.
ARG GO_IMAGE=golang:1.26-bookworm
ARG BASE_IMAGE=debian:13-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
ARG VERSION=dev
# The compiler's cache is of no use to a later build (there is no mount to keep it in), so it is not kept.
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/action ./cmd/signgate \
 && mv /out/action /out/signgate-action \
 && rm -rf "$(go env GOCACHE)"

FROM ${BASE_IMAGE}
# libssl3, libstdc++6 and libffi (through p11-kit-modules) are there for modules that are copied in.
# The link gives p11-kit's client one path on every architecture.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates libssl3 libstdc++6 p11-kit-modules \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
 && mkdir -p /usr/lib/pkcs11 \
 && ln -s /usr/lib/*-linux-gnu/pkcs11/p11-kit-client.so /usr/lib/pkcs11/p11-kit-client.so
COPY --from=build /out/signgate-action /out/signgate /usr/local/bin/
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="signgate" \
      org.opencontainers.image.description="Signs image digests with AWS KMS, PKCS#11 or file keys and gates them" \
      org.opencontainers.image.source="https://github.com/signgate/signgate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# No USER: the runner's mounts belong to the host's user, and GitHub requires container actions to run as root.
ENTRYPOINT ["/usr/local/bin/signgate-action"]
