// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// Group is the API group of the kinds.
const Group = "exchequer.dev"

// Kind is a resource of ours by its plural name.
func Kind(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: "v1alpha1", Resource: plural}
}

// Core is a resource of the core group.
func Core(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: plural}
}

// resource guesses as kubectl's fallback does: our kinds and Kubernetes' follow
// the English rule.
func resource(o *unstructured.Unstructured) schema.GroupVersionResource {
	kind := o.GroupVersionKind()
	plural := strings.ToLower(kind.Kind)
	switch {
	case strings.HasSuffix(plural, "y"):
		plural = strings.TrimSuffix(plural, "y") + "ies"
	case strings.HasSuffix(plural, "s"):
		plural += "es"
	default:
		plural += "s"
	}
	return kind.GroupVersion().WithResource(plural)
}

// Objects are the objects of a YAML text, each $WORD replaced by what words say.
func Objects(text string, words map[string]string) ([]*unstructured.Unstructured, error) {
	for word, value := range words {
		text = strings.ReplaceAll(text, word, value)
	}
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	var all []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

func (c *Cluster) at(o *unstructured.Unstructured) dynamic.ResourceInterface {
	if o.GetNamespace() == "" {
		return c.Dynamic.Resource(resource(o))
	}
	return c.Dynamic.Resource(resource(o)).Namespace(o.GetNamespace())
}

// Apply makes objects as `kubectl apply --server-side` does and returns what the
// API server made of the last.
func (c *Cluster) Apply(ctx context.Context, objects ...*unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var last *unstructured.Unstructured
	for _, o := range objects {
		b, err := o.MarshalJSON()
		if err != nil {
			return nil, err
		}
		force := true
		last, err = c.at(o).Patch(ctx, o.GetName(), types.ApplyPatchType, b, metav1.PatchOptions{FieldManager: "rig", Force: &force, FieldValidation: "Strict"})
		if err != nil {
			return nil, fmt.Errorf("apply %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
		}
	}
	return last, nil
}

// ApplyYAML applies the objects of a text, with the cluster's words in it.
func (c *Cluster) ApplyYAML(ctx context.Context, text string) error {
	objects, err := Objects(text, c.Words)
	if err != nil {
		return err
	}
	_, err = c.Apply(ctx, objects...)
	return err
}

// Delete deletes objects; those that are gone are fine.
func (c *Cluster) Delete(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		if err := c.at(o).Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// Condition is a condition of an object: its status and reason, both empty when
// it has none of this generation.
func Condition(o *unstructured.Unstructured, kind string) (status, reason, message string) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, each := range list {
		m, ok := each.(map[string]any)
		if !ok || m["type"] != kind {
			continue
		}
		if g, ok := m["observedGeneration"].(int64); ok && g != o.GetGeneration() {
			return "", "", ""
		}
		status, _ = m["status"].(string)
		reason, _ = m["reason"].(string)
		message, _ = m["message"].(string)
	}
	return status, reason, message
}

// WaitFor waits until a condition of an object is true for its generation.
func (c *Cluster) WaitFor(ctx context.Context, kind schema.GroupVersionResource, namespace, name, condition string) error {
	return Until(ctx, fmt.Sprintf("%s %s/%s is %s", kind.Resource, namespace, name, condition), func(ctx context.Context) error {
		o, err := c.Dynamic.Resource(kind).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		status, reason, message := Condition(o, condition)
		if status != "True" {
			return fmt.Errorf("it is %q: %s: %s", status, reason, message)
		}
		return nil
	})
}
