// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/onsi/gomega"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

func TestASlotThatHoldsALaterChunkOfTheSameLengthHasThePointerReadAgain(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	of := func(claim string) *policy.Spec {
		spec := world(1, "main")
		spec.Scopes[0].Claims[0].Expression = "'" + claim + "'"
		return spec
	}
	first := o.Publish(of("first"))
	var third wire.Pointer
	var once sync.Once
	r := start(t, o, "one", through(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/"+first.Chunks[0].Name()) {
				// The pointer is read, and its slot is written over before it is.
				once.Do(func() { o.Publish(of("other")); third = o.Publish(of("third")) })
			}
			return next.RoundTrip(r)
		})
	}))
	eventually(t, func(g gomega.Gomega) { g.Expect(r.revisions()).NotTo(gomega.BeEmpty()) })
	r.mustServe(third)
	was, is := first.Chunks[0], third.Chunks[0]
	if was.Name() != is.Name() || was.Bytes != is.Bytes || was.Hash == is.Hash {
		t.Fatalf("the chunks %+v and %+v do not differ by their hashes alone", was, is)
	}
	if strings.Contains(r.log.String(), "is not served") {
		t.Error("a slot that was written over meanwhile counts as damaged: the pointer was not read again")
	}
}
