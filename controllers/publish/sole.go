// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// sole is the Pod that was named the only one last.
type sole struct {
	uid types.UID
	// known is false before this process has named any, or none; stands says that it
	// is written.
	known, stands bool
}

// into puts the name beside the pointer. What another controller wrote stays until
// this one knows better.
func (s sole) into(secret *corev1.Secret) {
	if s.known {
		secret.Data[wire.SoleKey] = []byte(s.uid)
	}
	if len(secret.Data[wire.SoleKey]) == 0 {
		delete(secret.Data, wire.SoleKey)
	}
}

// Appointed says whether a Pod's UID is what was named last, and is written.
func (p *Publisher) Appointed(uid types.UID) bool { return p.sole.stands && p.sole.uid == uid }

// Appoint names the only Pod of the exchanger; an empty UID says that there are
// several or none. It must have been the only one at some moment: this is written
// again with every pointer and heartbeat.
func (p *Publisher) Appoint(ctx context.Context, uid types.UID) error {
	p.sole = sole{uid: uid, known: true}
	var secret corev1.Secret
	err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: wire.PointerName}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		p.sole.stands = true // It comes with the first pointer.
		return nil
	case err != nil:
		return fmt.Errorf("read the pointer: %w", err)
	}
	if string(secret.Data[wire.SoleKey]) != string(uid) {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		p.sole.into(&secret)
		if err := p.put(ctx, &secret, true); err != nil {
			return fmt.Errorf("name the only replica: %w", err)
		}
	}
	p.sole.stands = true
	return nil
}
