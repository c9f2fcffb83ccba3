# Everything that CI runs can be run here with the same words; `make` alone
# lists it. The recipes stand in hack/make/*.mk, one file per subject.

MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

include hack/make/common.mk
include $(filter-out hack/make/common.mk,$(sort $(wildcard hack/make/*.mk)))
