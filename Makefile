# Everything that CI runs can be run here with the same words; `make` alone
# lists it. The recipes stand in hack/make/*.mk, one file per subject.

MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

include $(addprefix hack/make/,common.mk run.mk test.mk cluster.mk e2e.mk chart.mk faults.mk verify.mk generate.mk)
