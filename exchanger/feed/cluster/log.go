// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// quiet keeps a reflector's own words out of the log: they repeat every failed
// attempt, which the feed says once a minute in its own.
func quiet() *klog.Logger {
	l := logr.Discard()
	return &l
}

func uid(s string) types.UID { return types.UID(s) }
