# The exporter as one static binary, without a shell, a libc or a root user.
#   docker build -t rainbond-exporter .
#   docker buildx build --platform linux/amd64,linux/arm64 -t rainbond-exporter .
ARG BASE=docker.io/library/golang:1.26.8@sha256:3c3e25a4da13fd0478eed2df1eb35a0e667094a7124d3993a6a1d30f71c17e79
FROM --platform=$BUILDPLATFORM ${BASE} AS build
WORKDIR /src
# Where modules come from, in a site that has a proxy of its own.
ARG GOPROXY GOSUMDB
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev REVISION=unknown
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -tags "$(cat tools/tags.txt)" \
    -ldflags "-s -w -buildid= -X github.com/prometheus/common/version.Version=$VERSION -X github.com/prometheus/common/version.Revision=$REVISION" \
    -o /rainbond-exporter ./cmd/rainbond-exporter

FROM scratch
ARG VERSION=dev REVISION=unknown
LABEL org.opencontainers.image.title="rainbond-exporter" \
      org.opencontainers.image.description="Reports what is wrong between a Rainbond console and its region" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/rainbond-exporter/rainbond-exporter" \
      org.opencontainers.image.documentation="https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/install.md" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /rainbond-exporter /rainbond-exporter
USER 65532:65532
EXPOSE 10069
ENTRYPOINT ["/rainbond-exporter"]
