// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// A replica that lived through a restored etcd says a number of the history that is
// gone. It lies between what was published before and after, and is of neither.
func TestANumberOfAnotherHistoryAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	var b book
	result := &translate.Result{Statuses: []translate.ObjectStatus{{Kind: "ExchangePolicy", Namespace: "media", Name: "images", InputDigest: "the same"}}}
	judge := func(revision uint64, digest string) {
		b.judge(&gather.Gathered{}, result, &publish.Published{Revision: revision, Digest: digest, Moved: true}, nil, func(*translate.Result, *status.Verdict) {})
	}
	programmed := func() bool {
		v, w, ok := b.about(gather.Key{Kind: "ExchangePolicy", NamespacedName: types.NamespacedName{Namespace: "media", Name: "images"}})
		return ok && v.Acknowledged(&w.Replicas)
	}
	judge(6, "before")
	b.hear([]voice{{revision: 6, digest: "before"}}, false)
	if !programmed() {
		t.Fatal("what is published is acknowledged, and does not count")
	}
	b.hear([]voice{{revision: 10, digest: "another history"}}, false)
	judge(11, "after")
	if programmed() {
		t.Error("revision 10 is of another history, and counts as having what was published as 6 and as 11")
	}
	b.hear([]voice{{revision: 11, digest: "after"}}, false)
	if !programmed() {
		t.Error("what is published now is acknowledged, and does not count")
	}
	judge(12, "later")
	if !programmed() {
		t.Error("a change of something else takes the acknowledgement away")
	}
}
