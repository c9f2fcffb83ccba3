##@ Use

.PHONY: demo
demo: ## Run a whole exchange on this machine: issuer, manifests, allowed and refused requests.
	@$(GO) run ./hack/demo

.PHONY: build
build: ## Build the programs into bin/.
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: image
image: IMAGE ?= exchequer:dev
image: ## Build the container image (IMAGE=name:tag).
	docker build -t $(IMAGE) .
