// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"testing"
	"time"
)

func TestF297WithoutSharedStateNothingIsUsedOnce(t *testing.T) {
	t.Parallel()
	var s Store = None{}
	fresh, err := s.Once(t.Context(), ClientAssertion, "main shop/web", "id", time.Now().Add(time.Minute))
	if fresh || !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, %v", fresh, err)
	}
	if !s.Since().IsZero() {
		t.Error("what is refused for want of a store is called too old instead")
	}
}
