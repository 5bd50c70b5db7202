# syntax=docker/dockerfile:1
# One image with every process of the operator: each command listed in COMMANDS
# becomes /NAME. The manager is the default; a Deployment picks another with
# "command".
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
ARG VERSION=development
ARG COMMANDS="manager webhook"
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    for name in $COMMANDS; do \
      CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
      go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o "/out/$name" "./cmd/$name" || exit 1; \
    done

# Nothing else is needed: whom TLS trusts is in the binaries, too
# (cmd/internal/process). "make image-archive" makes the same without an engine.
FROM scratch
COPY --from=build /out/ /
USER 65532:65532
ENTRYPOINT ["/manager"]
