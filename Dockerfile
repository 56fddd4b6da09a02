# Tocsin alone: one static binary, the authorities of TLS, nothing else. The time zones are in the binary.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
# Behind a proxy: docs/operations.md#building-behind-a-proxy. The engine knows HTTPS_PROXY, HTTP_PROXY and NO_PROXY by itself.
ARG GOPROXY
RUN --mount=type=secret,id=authority SSL_CERT_FILE=/run/secrets/authority go mod download
COPY . .
ARG VERSION=devel
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.buildVersion=${VERSION}" -o /tocsin ./cmd/tocsin

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /tocsin /tocsin
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/tocsin"]
