# NeoSC MFA Operator. "make" alone prints what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOLS   := bin/tools
# Of the archive: where, for what, and the date of everything in it.
ARCHIVE ?= dist/mfa-operator-image.tar
ARCH    ?= $(shell go env GOARCH)
# Builds the image's programs into a folder that goes with the recipe. Nothing but
# source, version and compiler decides what is in them.
PROGRAMS = out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS) -buildid=' -o "$$out/" ./cmd/manager ./cmd/webhook;
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
# Puts the control plane and the tools where a recipe's programs look for them;
# may have to build first. On a line of its own, so that its failure ends the recipe.
CONTROL_PLANE = assets=$$(hack/controlplane.sh); \
	export KUBEBUILDER_ASSETS="$$assets" PATH="$(CURDIR)/$(TOOLS):$$assets:$$PATH";
# The race detector needs a C compiler; without one Go turns cgo off.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race,$(warning no C compiler: testing without the race detector))
# At the end of a process it would wait a second for the reports of threads that are left.
export GORACE := atexit_sleep_ms=50

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Try it

.PHONY: run demo run-against
run: build ## Start everything on this machine, show the main job, stay up until Ctrl-C
	@$(CONTROL_PLANE) bin/devcluster
demo: build ## The same, and end with exit code 0 if every step worked, 1 if not
	@$(CONTROL_PLANE) bin/devcluster --demo
run-against: build ## The same on a real Zitadel, which is only read: ZITADEL_DOMAIN=… ZITADEL_TOKEN_FILE=…
	@: "$${ZITADEL_DOMAIN:?is not set}" "$${ZITADEL_TOKEN_FILE:?is not set}"
	@$(CONTROL_PLANE) bin/devcluster --zitadel-domain="$$ZITADEL_DOMAIN" --zitadel-token-file="$$ZITADEL_TOKEN_FILE"

## Build and test

# What vet finds, lint finds.
.PHONY: build test bench bench-ledger bench-verify
build: ## Build every command into bin/
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...
test: $(TOOLS)/helm $(TOOLS)/kustomize $(TOOLS)/promtool ## Run every test, race detector on, against a real API server
	@CHROMIUM=$$(hack/browser.sh); export CHROMIUM; $(CONTROL_PLANE) go test $(RACE) -vet=off -timeout 20m ./...
	@go test -vet=off -run '^TestNoOrderOfEventsForksTheLedger$$' ./internal/ledger/ # its long cases: one goroutine, minutes if watched for races
	@go -C hack/image test ./...
bench: ## Run the benchmarks
	@$(CONTROL_PLANE) go test -run '^$$' -bench . -benchtime 1x ./test/bench/
bench-ledger: ## Measure the audit ledger, on an etcd that waits for the disk; writes bench/ledger.json
	@mkdir -p bench
	@$(CONTROL_PLANE) BENCH_JSON="$(CURDIR)/bench/ledger.json" go test -run '^$$' -bench . -benchtime 1x -timeout 20m ./test/bench/ledger/
bench-verify: ## Measure verifications over HTTPS, against the ledger under them; writes bench/verify.json
	@mkdir -p bench
	@$(CONTROL_PLANE) BENCH_JSON="$(CURDIR)/bench/verify.json" go test -run '^$$' -bench . -benchtime 1x -timeout 20m ./test/bench/verify/

## Keep it right

.PHONY: generate verify lint fmt
generate: $(TOOLS)/controller-gen $(TOOLS)/crd-ref-docs ## Regenerate code, manifests, chart and reference
	@hack/generate.sh
verify: $(TOOLS)/controller-gen $(TOOLS)/crd-ref-docs ## Fail if anything generated, formatted or tidied would change
	@hack/verify.sh
lint: $(TOOLS)/golangci-lint ## Run the linters, import rules included
	@hack/lint-selftest.sh
	@$(TOOLS)/golangci-lint run ./...
fmt: $(TOOLS)/golangci-lint ## Format the code and order its imports
	@$(TOOLS)/golangci-lint fmt ./...

## Tools and images

.PHONY: controlplane tools image image-archive sbom govulncheck clean
controlplane: ## Make etcd, kube-apiserver and kubectl available in bin/k8s
	@hack/controlplane.sh
tools: $(addprefix $(TOOLS)/,controller-gen setup-envtest crd-ref-docs kustomize golangci-lint helm promtool) ## Build the pinned tools into bin/tools
image: ## Build the container image: IMAGE=name:tag, CONTAINER=docker or podman
	$(or $(CONTAINER),docker) build --build-arg VERSION=$(VERSION) -t $(or $(IMAGE),mfa-operator:$(VERSION)) .
image-archive: ## Build the image without container engine and registry, as an archive: ARCHIVE=file.tar, IMAGE=name:tag, ARCH=arm64
	@$(PROGRAMS) mkdir -p "$(dir $(ARCHIVE))"; \
	go -C hack/image run . --out "$(abspath $(ARCHIVE))" --chart "$(CURDIR)/charts/mfa-operator" --reference "$(IMAGE)" \
	  --arch $(ARCH) --version "$(VERSION)" --created "$(SOURCE_DATE_EPOCH)" "$$out/manager" "$$out/webhook"
sbom: $(TOOLS)/cyclonedx-gomod ## Write what is in the image's programs into dist/, as CycloneDX
	@$(PROGRAMS) mkdir -p dist; for name in manager webhook; do \
	  $(TOOLS)/cyclonedx-gomod bin -json -std -noserial -version "$(VERSION)" -output dist/$$name.cdx.json "$$out/$$name"; \
	  echo "dist/$$name.cdx.json"; done
govulncheck: $(TOOLS)/govulncheck ## Say which known vulnerabilities the programs reach: GOVULNDB=URL of a mirror, https or file
	@status=0; $(TOOLS)/govulncheck $(addprefix -db=,$(GOVULNDB)) ./cmd/... || status=$$?; \
	case $$status in 0 | 3) ;; *) \
	  echo "govulncheck: nothing was looked for. Without access to vuln.go.dev fetch https://vuln.go.dev/vulndb.zip" >&2; \
	  echo "elsewhere, unpack it, and run: make govulncheck GOVULNDB=file:///FOLDER" >&2;; \
	esac; exit $$status
clean: ## Remove what was built
	rm -rf bin dist

# $(call tool,NAME,MODULE,PACKAGE): a tool is rebuilt when its module changes.
define tool
$(TOOLS)/$(1): hack/$(2)/go.mod hack/$(2)/go.sum
	@echo "building $(1); the first time this takes up to some minutes" >&2
	@mkdir -p $(TOOLS)
	@cd hack/$(2) && CGO_ENABLED=0 go build -trimpath -o ../../$(TOOLS)/.$(1) $(3)
	@touch $(TOOLS)/.$(1) && mv $(TOOLS)/.$(1) $$@
endef
$(eval $(call tool,controller-gen,tools,sigs.k8s.io/controller-tools/cmd/controller-gen))
$(eval $(call tool,setup-envtest,tools,sigs.k8s.io/controller-runtime/tools/setup-envtest))
$(eval $(call tool,crd-ref-docs,tools,github.com/elastic/crd-ref-docs))
$(eval $(call tool,kustomize,tools,sigs.k8s.io/kustomize/kustomize/v5))
$(eval $(call tool,golangci-lint,lint,sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter))
$(eval $(call tool,cyclonedx-gomod,supply,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod))
$(eval $(call tool,govulncheck,supply,golang.org/x/vuln/cmd/govulncheck))
$(eval $(call tool,helm,helm,helm.sh/helm/v4/cmd/helm))
$(eval $(call tool,promtool,prometheus,github.com/prometheus/prometheus/cmd/promtool))
