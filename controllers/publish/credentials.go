// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// Credentials makes the Secret of what is presented to others hold just this; it is
// there also while it is empty. It is written before the pointer is moved: whoever
// reads of another server finds what to say there. What is not needed any more goes
// at once, since replicas of the snapshot before can only be refused for lack of it.
func (p *Publisher) Credentials(ctx context.Context, all map[string][]byte) error {
	name := types.NamespacedName{Namespace: p.namespace, Name: wire.CredentialsName}
	for range attempts {
		var have corev1.Secret
		err := p.client.Get(ctx, name, &have)
		switch {
		case apierrors.IsNotFound(err):
			secret := p.secret(wire.CredentialsName, "credentials")
			secret.OwnerReferences, secret.Data = p.owners(ctx), all
			err = p.client.Create(ctx, secret)
		case err == nil && maps.EqualFunc(have.Data, all, bytes.Equal):
			return nil
		case err == nil:
			have.Data = all
			err = p.client.Update(ctx, &have)
		}
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("write Secret %s: %w", wire.CredentialsName, err)
		}
	}
	return fmt.Errorf("write Secret %s: %w", wire.CredentialsName, errRaced)
}
