# What the other files share, and the list of targets.

GO ?= go

# The race detector needs cgo, and cgo needs a C compiler. A machine that has
# only Go and make runs the same tests without it, and is told so.
RACE ?= $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)

# Tests talk to servers of their own over loopback; more packages at once than
# this only makes them wait for each other on small machines.
TEST_PARALLEL ?= 2

# Tools are modules with checksums, run without being installed.
TOOL := $(GO) tool -modfile=hack/tools/go.mod
LINT_TOOL := $(GO) tool -modfile=hack/tools/lint/go.mod

##@ General

.PHONY: help
help: ## Show this list.
	@b= c= r=; if [ -t 1 ]; then b=$$'\e[1m'; c=$$'\e[36m'; r=$$'\e[0m'; fi; \
	awk -v b="$$b" -v c="$$c" -v r="$$r" 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s%s%s\n", b, substr($$0, 5), r } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  %s%-17s%s %s\n", c, $$1, r, $$2 }' \
	  $(MAKEFILE_LIST)
	@echo
