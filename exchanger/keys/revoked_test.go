// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A key that a manifest revoked is never trusted again: not when the manifest
// forgets it, and not when a backup of the key file from before comes back beside
// what this process knows.
func TestAKeyThatAPlanRevokedStaysRevoked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	r := openDir(t, dir)
	kid := ensure(t, r, "main", plan(), start).Signing.KeyID()
	revoking := plan()
	revoking.RevokedKeyIDs = []string{kid, "somebody-elses"}
	if c := ensure(t, r, "main", revoking, start.Add(time.Minute)); slices.Contains(c.Public.KeyIDs(), kid) {
		t.Fatal("it is still published")
	}
	again := openDir(t, dir)
	ensure(t, again, "main", plan(), start.Add(2*time.Minute))
	if got := again.lines["main"].revoked; !slices.Equal(got, []string{kid}) {
		t.Errorf("the file remembers %v, want the revoked key alone", got)
	}
}
