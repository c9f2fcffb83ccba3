##@ Cluster

# What tests talk to: a real API server. Where the variable is set, what stands
# there is used as it is; otherwise it is built from the pins of hack/tools.
KUBEBUILDER_ASSETS ?=
ASSETS = $(or $(KUBEBUILDER_ASSETS),$$(hack/cluster/build.sh --where test))

.PHONY: test-assets
test-assets: ## Build kube-apiserver, etcd, kubectl and helm for the tests (once, about 4 min).
	@$(if $(KUBEBUILDER_ASSETS),:,hack/cluster/build.sh test >/dev/null)

.PHONY: cluster
cluster: ## Bring up Kubernetes on one node, without Docker (root on Linux; with Docker: kind create cluster).
	@hack/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Take that cluster down and remove its state.
	@hack/cluster/down.sh

.PHONY: cluster-load
cluster-load: image-tar ## Bring the image of this checkout into that cluster.
	@hack/cluster/load.sh bin/image.tar
	@echo "helm install exchequer charts/exchequer --namespace exchequer-system --create-namespace \\"
	@echo "  --set image.repository=$(firstword $(subst :, ,$(IMAGE_TAR_TAG))),image.tag=$(lastword $(subst :, ,$(IMAGE_TAR_TAG)))"

VERSION ?= dev
IMAGE_TAR_TAG ?= exchequer.local/exchequer:$(VERSION)
IMAGE_ARCH ?= $(shell $(GO) env GOARCH)
PROGRAMS = $(patsubst cmd/%/main.go,%,$(wildcard cmd/*/main.go))

# The same flags as in the Dockerfile: the bytes depend on the sources, the
# toolchain and VERSION alone.
.PHONY: image-tar
image-tar: ## Write image and SBOM to bin/, without Docker (VERSION=dev, IMAGE_TAR_TAG=name:tag).
	@echo "building $(PROGRAMS) for the image"
	@GOOS=linux GOARCH=$(IMAGE_ARCH) CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags="-s -w -buildid= -X main.version=$(VERSION)" \
	  -o bin/image/ $(PROGRAMS:%=./cmd/%)
	@$(GO) -C hack/tools/image run ./mkimage -o $(CURDIR)/bin/image.tar -sbom $(CURDIR)/bin/sbom.cdx.json -t $(IMAGE_TAR_TAG) -arch $(IMAGE_ARCH) \
	  -entrypoint /usr/local/bin/exchequer $(foreach p,$(PROGRAMS),$(CURDIR)/bin/image/$(p)=/usr/local/bin/$(p))
	@echo "bin/image.tar holds $(IMAGE_TAR_TAG), $$(du -h bin/image.tar | cut -f1)"

# What talks to an API server in tests does so here as well. Its folder is built
# from hack/tools/kubernetes-oldest.
OLDEST_PACKAGES ?= ./test/cluster ./test/chart ./controllers/...

.PHONY: test-oldest
test-oldest: ## Run the tests with an API server on the oldest one that is supported.
	@hack/cluster/build.sh oldest >/dev/null
	KUBEBUILDER_ASSETS="$$(hack/cluster/build.sh --where oldest)" $(GO) test -p $(TEST_PARALLEL) $(TEST_ARGS) $(OLDEST_PACKAGES)
