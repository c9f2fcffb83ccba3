// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

const (
	suffix = ".json"
	// maxBytes is what the API server takes in one Secret: 1 MiB over all values
	// (corev1.MaxSecretSize), less 24 KiB so that a revocation, which adds 45 bytes
	// at a time, always has room. A TokenService with three ES256 keys needs 2.2 KiB,
	// with three RS256 keys 8.6 KiB: that is 450 or 115 TokenServices.
	maxBytes = corev1.MaxSecretSize - 24<<10
	// attempts bounds how often a write starts over because another data key of the
	// Secret was written meanwhile.
	attempts = 5
	// patience bounds one call of the API server.
	patience = 5 * time.Second
	// deleteAnnotation lists the TokenServices whose keys go with them: once one is
	// deleted, nobody can ask it any more.
	deleteAnnotation = "exchequer.dev/delete-with-token-service"
)

// Store keeps key documents in Secret exchequer-keys. It is a [keys.Store].
type Store struct {
	client    client.Client
	namespace string
}

// New returns a Store in a namespace. The client must not read from a cache.
func New(c client.Client, namespace string) *Store { return &Store{c, namespace} }

// Place names a TokenService's data key.
func (s *Store) Place(service string) string {
	return fmt.Sprintf("data key %s of Secret %s/%s", service+suffix, s.namespace, wire.KeysName)
}

// Load reads one TokenService's document; nil when there is none.
func (s *Store) Load(service string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	secret, err := s.get(ctx)
	if err != nil || secret == nil {
		return nil, err
	}
	document, there := secret.Data[service+suffix]
	if there && document == nil {
		document = []byte{} // emptied by somebody: that is not none
	}
	return document, nil
}

// Save stores a document of a higher generation than the one that is there.
func (s *Store) Save(service string, generation int64, document []byte) error {
	return s.change(func(secret *corev1.Secret) (bool, error) {
		if stored, there := secret.Data[service+suffix]; there {
			have, err := keys.Generation(service, stored)
			if err != nil {
				return false, fmt.Errorf("%w and are not overwritten: %s: %w", keys.ErrUnreadable, s.Place(service), err)
			}
			if have >= generation {
				return false, keys.ErrStale
			}
		}
		secret.Data[service+suffix] = document
		return true, tooLarge(secret)
	})
}

// settle has the Secret say which keys go with their TokenService, and drops those
// of TokenServices that have gone.
func (s *Store) settle(withService, gone []string) error {
	slices.Sort(withService)
	return s.change(func(secret *corev1.Secret) (bool, error) {
		changed := false
		for _, service := range gone {
			if _, there := secret.Data[service+suffix]; there {
				delete(secret.Data, service+suffix)
				changed = true
			}
		}
		text := ""
		if len(withService) > 0 {
			b, err := json.Marshal(withService)
			if err != nil {
				return false, err
			}
			text = string(b)
		}
		if secret.Annotations[deleteAnnotation] == text {
			return changed, nil
		}
		secret.Annotations[deleteAnnotation] = text
		if text == "" {
			delete(secret.Annotations, deleteAnnotation)
		}
		return true, nil
	})
}

// stored says which TokenServices have keys, and which of these go with theirs.
func (s *Store) stored(ctx context.Context) (services, withService []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	secret, err := s.get(ctx)
	if err != nil || secret == nil {
		return nil, nil, err
	}
	for key := range secret.Data {
		if name, ok := cutSuffix(key); ok {
			services = append(services, name)
		}
	}
	if text := secret.Annotations[deleteAnnotation]; text != "" {
		// Whoever edits it by hand and breaks it keeps keys, and loses none.
		_ = json.Unmarshal([]byte(text), &withService)
	}
	return services, withService, nil
}

func cutSuffix(key string) (string, bool) {
	if len(key) <= len(suffix) || key[len(key)-len(suffix):] != suffix {
		return "", false
	}
	return key[:len(key)-len(suffix)], true
}

// get reads the Secret; nil when there is none.
func (s *Store) get(ctx context.Context) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: wire.KeysName}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // none is an answer
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", s.namespace, wire.KeysName, err)
	}
	return &secret, nil
}

// change alters the Secret, on what is there when it is written. alter says
// whether there is anything to write; it may be called several times.
func (s *Store) change(alter func(*corev1.Secret) (bool, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	for range attempts {
		var secret *corev1.Secret
		if secret, err = s.get(ctx); err != nil {
			return err
		}
		write := s.client.Update
		if secret == nil {
			secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: wire.KeysName}}
			write = func(ctx context.Context, o client.Object, _ ...client.UpdateOption) error {
				return s.client.Create(ctx, o)
			}
		}
		adopt(secret)
		changed, alterErr := alter(secret)
		if alterErr != nil || !changed {
			return alterErr
		}
		if err = write(ctx, secret); err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("write Secret %s/%s: %w", s.namespace, wire.KeysName, err)
		}
	}
	return fmt.Errorf("write Secret %s/%s: others wrote it %d times meanwhile: %w", s.namespace, wire.KeysName, attempts, err)
}

// adopt gives the Secret what others know it by: backups and uninstalling select
// it by label, and Helm leaves it where it is.
func adopt(secret *corev1.Secret) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Labels = with(secret.Labels, Labels())
	secret.Annotations = with(secret.Annotations, map[string]string{"helm.sh/resource-policy": "keep"})
}

// Labels are those of the Secret.
func Labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       "exchequer",
		"app.kubernetes.io/component":  "keys",
		"app.kubernetes.io/part-of":    "exchequer",
		"app.kubernetes.io/managed-by": "exchequer-controller",
	}
}

func with(m, more map[string]string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, more)
	return m
}

// tooLarge refuses what the API server would not take, and says whose keys it is.
func tooLarge(secret *corev1.Secret) error {
	total, largest := 0, ""
	for key, value := range secret.Data {
		total += len(value)
		if largest == "" || len(value) > len(secret.Data[largest]) {
			largest = key
		}
	}
	if total <= maxBytes {
		return nil
	}
	return fmt.Errorf("Secret %s would have %d bytes, at most %d are possible; the largest data key is %s with %d: "+ //nolint:staticcheck // Secret is the kind's name
		"use a longer rotation.period, shorter tokens or ES256, or delete the keys of TokenServices that are no more",
		wire.KeysName, total, maxBytes, largest, len(secret.Data[largest]))
}
