# syntax=docker/dockerfile:1
# One image for every program of cmd/: what a cluster runs is what a laptop
# runs, and there is one digest to sign, to scan and to pin.

# Pinned by tag here; a release pins both images by digest
# (`golang:1.26.8@sha256:…`), so that the same commit gives the same bytes.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src

# Modules first: the layer stays cached until go.mod or go.sum changes.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

# .dockerignore is an allow-list: sources of the programs and nothing else.
COPY . .

ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=dev

# No cgo: the final image has no libc. -trimpath and an empty build id keep the
# bytes independent of the machine that built them.
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir /out && \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -buildvcs=false \
      -ldflags="-s -w -buildid= -X main.version=$VERSION" -o /out/ ./cmd/...

# Static: no shell, no package manager, no libc; CA roots and time zones only.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/

# By number, so that runAsNonRoot can be checked without reading /etc/passwd.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/exchequer"]
CMD ["--help"]
