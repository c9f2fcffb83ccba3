// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

// given completes a plan with the key that the TokenService brings.
func (m *Manager) given(ctx context.Context, plan *keys.Plan, o *v1alpha1.TokenService, wanted map[string]source) error {
	in := &o.Spec.Signing
	switch {
	case in.Source == v1alpha1.KeySourceSecretRef && in.SecretRef != nil:
		plan.Source = keys.SecretRef
		key, err := m.secretKey(ctx, in.SecretRef, plan.Algorithm)
		if err == nil {
			plan.Given = &keys.Given{Private: key}
		}
		return err
	case in.Source == v1alpha1.KeySourceExternal && in.External != nil:
		plan.Source = keys.External
		config, err := m.signer(ctx, in.External)
		if err != nil {
			return err
		}
		plan.Signer = config
		wanted[o.Name] = source{config, plan.Algorithm}
		return m.offered(plan, o.Name, source{config, plan.Algorithm})
	}
	return nil
}

// secretKey reads the key of a SecretRef.
func (m *Manager) secretKey(ctx context.Context, ref *v1alpha1.KeyReference, algorithm string) (*jose.PrivateKey, error) {
	value, err := m.value(ctx, ref)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParsePrivateKey(value, algorithm)
	if err != nil {
		return nil, trouble(v1alpha1.ReasonKeyUnsuitable, fmt.Errorf(
			"key %q of Secret %s/%s is not a private key for %s, in PEM (PKCS #8, SEC 1, PKCS #1) or as a JWK: %w", ref.Key, m.options.Namespace, ref.Name, algorithm, err))
	}
	return key, nil
}

// value reads one data key of a Secret in the operator's namespace.
func (m *Manager) value(ctx context.Context, ref *v1alpha1.KeyReference) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var secret corev1.Secret
	err := m.options.Client.Get(ctx, client.ObjectKey{Namespace: m.options.Namespace, Name: ref.Name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, trouble(v1alpha1.ReasonSecretNotFound, fmt.Errorf("there is no Secret %s in namespace %s", ref.Name, m.options.Namespace))
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", m.options.Namespace, ref.Name, err)
	}
	value, there := secret.Data[ref.Key]
	if !there {
		return nil, trouble(v1alpha1.ReasonSecretNotFound, fmt.Errorf("Secret %s/%s has no key %q", m.options.Namespace, ref.Name, ref.Key)) //nolint:staticcheck // Secret is the kind's name
	}
	return value, nil
}

// signer says how to reach an external signer.
func (m *Manager) signer(ctx context.Context, in *v1alpha1.ExternalSigner) (signer.Config, error) {
	c := signer.Config{Address: in.Address, CABundle: string(in.CABundle)}
	if ref := in.ClientCertificateRef; ref != nil {
		certificate, err := m.value(ctx, ref)
		if err != nil {
			return signer.Config{}, err
		}
		// As in a Secret of type kubernetes.io/tls.
		private, err := m.value(ctx, &v1alpha1.KeyReference{Name: ref.Name, Key: corev1.TLSPrivateKeyKey})
		if err != nil {
			return signer.Config{}, err
		}
		c.Certificate, c.PrivateKey = string(certificate), string(private)
	}
	if err := c.Validate(); err != nil {
		return signer.Config{}, trouble(v1alpha1.ReasonKeyUnsuitable, err)
	}
	return c, nil
}

// offered completes a plan with what the signer has said last.
func (m *Manager) offered(plan *keys.Plan, service string, s source) error {
	answer, ok := m.signers.answer(service, s)
	if !ok {
		return trouble(v1alpha1.ReasonSignerUnavailable, errors.New("the external signer has not been asked yet"))
	}
	if answer.given != nil {
		given := *answer.given
		given.Gone = m.gone(service, &answer)
		plan.Given = &given
	}
	return answer.err
}

// gone are the keys of a line that the signer does not have any more.
func (m *Manager) gone(service string, a *answer) []string {
	current, ok := m.ring.Current(service)
	if !ok {
		return nil
	}
	var out []string
	for _, s := range current.Slots {
		if s.Source == keys.External && !a.has[s.KeyID] {
			out = append(out, s.KeyID)
		}
	}
	return out
}
