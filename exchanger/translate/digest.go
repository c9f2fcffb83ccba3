// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What an object hangs on, for its input digest: its own generation and labels,
// whether it is published at all, and for every reference which object it found, by
// UID, and whether that was in force. The content of referenced objects stays out where they have a status of
// their own; of Secrets and ConfigMaps, which have none, the version counts. So a
// change of the TokenService does not rewrite the status of everything below it.

// hangsOn notes what a reference found; found may be nil.
func (o *object) hangsOn(kind, namespace, name string, found *object) {
	state := "missing"
	if found != nil {
		state = found.uid
		if !found.inForce() {
			state += " not in force"
		}
	}
	o.uses = append(o.uses, [4]string{kind, namespace, name, state})
}

// hangsOnData notes the version of a Secret or a ConfigMap.
func (o *object) hangsOnData(kind string, name types.NamespacedName, there bool, versions map[types.NamespacedName]string) {
	state := "missing"
	if there {
		state = "at " + versions[name]
	}
	o.uses = append(o.uses, [4]string{kind, name.Namespace, name.Name, state})
}

// inputDigest is the lower-case hex SHA-256 of what the object is built from.
func (o *object) inputDigest() string {
	published := o.inForce() && (o.passed == nil || o.passed.Status != metav1.ConditionFalse)
	b, err := json.Marshal([]any{o.uid, o.generation, o.labels, o.absent, o.uses, published})
	if err != nil {
		return "" // strings, a number and a map of strings cannot fail
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// objectOf returns the object of something translated, nil for nothing.
func (c *client) objectOf() *object {
	if c == nil {
		return nil
	}
	return c.object
}

func (s *scope) objectOf() *object {
	if s == nil {
		return nil
	}
	return s.object
}

func (s *service) objectOf() *object {
	if s == nil {
		return nil
	}
	return s.object
}

func (i *issuer) objectOf() *object {
	if i == nil {
		return nil
	}
	return i.object
}
