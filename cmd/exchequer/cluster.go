// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// clusterFlags say which cluster is meant.
type clusterFlags struct {
	kubeconfig, context string
}

func (f *clusterFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "`FILE` that says how to reach the cluster; default: as kubectl")
	c.Flags().StringVar(&f.context, "context", "", "`NAME` of a context of the kubeconfig; default: its current one")
}

func (f *clusterFlags) given() bool { return f.kubeconfig != "" || f.context != "" }

// config finds the cluster as kubectl does: the flag, KUBECONFIG, the home
// directory, the Pod's own service account.
func (f *clusterFlags) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context}).ClientConfig()
	if err != nil {
		return nil, usage("find the cluster: %w", err)
	}
	// A command asks for nine kinds; the client's own brake is for controllers.
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "exchequer"
	if config.Timeout == 0 {
		config.Timeout = requestTimeout
	}
	return config, nil
}

// requestTimeout bounds one request: a page of 500 objects of up to 100 KiB takes
// seconds over a slow line, not minutes.
const requestTimeout = time.Minute

// resources are the kinds that a Spec is made of.
func resources() []kindName {
	var out []kindName
	for _, k := range kinds() {
		if k.kind != "ExchangerReplica" {
			out = append(out, k)
		}
	}
	return out
}

// pageSize and mostPages bound a list: 200,000 objects of a kind are twenty times
// what a namespace may have, and a gigabyte.
const (
	pageSize  = 500
	mostPages = 400
)

// load reads the objects of the cluster through the path that manifests take.
// withLocal asks also who signs its service-account tokens, which a comparison with
// manifests must not know: they cannot say it.
func (f *clusterFlags) load(ctx context.Context, namespace string, now func() time.Time, withLocal bool) (*manifests, error) {
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, usage("find the cluster: %w", err)
	}
	r := &clusterReader{client: client, operator: namespace, seen: map[string]bool{}}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	builder, err := feed.NewBuilder(namespace, now, nil)
	if err != nil {
		return nil, err
	}
	var local *translate.LocalCluster
	if withLocal {
		if local, err = localCluster(ctx, config); err != nil {
			r.unseen = append(r.unseen, "who signs this cluster's service-account tokens cannot be read, so that no token of it is recognised: "+err.Error())
		}
	}
	m := &manifests{unseen: r.unseen}
	return m, m.build(builder.ForCluster(local), r.objects)
}

// localCluster reads who signs the cluster's own service-account tokens.
func localCluster(ctx context.Context, config *rest.Config) (*translate.LocalCluster, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	b, err := client.RESTClient().Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(b, &metadata); err != nil {
		return nil, fmt.Errorf("read /.well-known/openid-configuration: %w", err)
	}
	keys, err := client.RESTClient().Get().AbsPath("/openid/v1/jwks").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	return &translate.LocalCluster{Issuer: metadata.Issuer, JWKS: keys}, nil
}

// clusterReader reads what a person may read.
type clusterReader struct {
	client   dynamic.Interface
	operator string
	objects  []*feed.Object
	// unseen says what could not be seen, and what that means.
	unseen []string
	seen   map[string]bool
	// secrets counts those that were taken to be there.
	secrets int
}

func (r *clusterReader) read(ctx context.Context) error {
	for _, k := range resources() {
		err := r.list(ctx, v1alpha1.GroupVersion.WithResource(k.plural), func(o *unstructured.Unstructured) {
			r.take(k.kind, o)
		})
		switch {
		case apierrors.IsNotFound(err):
			return usage("this cluster does not know %s of %s: the CRDs of exchequer are not installed there, or are older than this program", k.plural, v1alpha1.GroupVersion)
		case err != nil:
			return clusterError("list "+k.plural+" in all namespaces", err)
		}
	}
	err := r.list(ctx, schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, func(o *unstructured.Unstructured) {
		r.add("v1", "Namespace", o, nil)
	})
	switch {
	case apierrors.IsForbidden(err):
		r.unseen = append(r.unseen, "you may not list namespaces: selectors by labels of namespaces find nothing here, whatever they find in force")
	case err != nil:
		return clusterError("list namespaces", err)
	}
	if err := r.referred(ctx); err != nil {
		return err
	}
	if r.secrets > 0 {
		r.unseen = append(r.unseen, "Secrets are never read: what objects refer to ("+count(r.secrets, "Secret")+") is taken to be there and good")
	}
	return nil
}

// list reads all objects of a kind, page by page.
func (r *clusterReader) list(ctx context.Context, of schema.GroupVersionResource, each func(*unstructured.Unstructured)) error {
	options := metav1.ListOptions{Limit: pageSize}
	for range mostPages {
		page, err := r.client.Resource(of).List(ctx, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			each(&page.Items[i])
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
	return fmt.Errorf("more than %d %s", pageSize*mostPages, of.Resource)
}

// take takes in an object of ours.
func (r *clusterReader) take(kind string, o *unstructured.Unstructured) {
	spec := o.Object["spec"]
	r.add(v1alpha1.GroupVersion.String(), kind, o, map[string]any{"spec": spec})
}

// add makes of an object what a manifest would have: what the API server added is
// left out.
func (r *clusterReader) add(apiVersion, kind string, o *unstructured.Unstructured, more map[string]any) {
	meta := map[string]any{"name": o.GetName()}
	if ns := o.GetNamespace(); ns != "" {
		meta["namespace"] = ns
	}
	if labels := o.GetLabels(); len(labels) > 0 {
		set := map[string]any{}
		for k, v := range labels {
			set[k] = v
		}
		meta["labels"] = set
	}
	content := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
	for k, v := range more {
		if v != nil {
			content[k] = v
		}
	}
	r.objects = append(r.objects, &feed.Object{Content: content})
}

// reference is a Secret or ConfigMap that an object names.
type reference struct{ kind, namespace, name, key string }

// referred reads the ConfigMaps that objects refer to, and puts something in the
// place of Secrets.
func (r *clusterReader) referred(ctx context.Context) error {
	var found []reference
	for _, o := range r.objects {
		namespace := o.Namespace()
		if namespace == "" {
			namespace = r.operator
		}
		references(o.Content["spec"], namespace, &found)
	}
	secrets := map[reference]map[string]any{}
	for _, ref := range found {
		at := reference{ref.kind, ref.namespace, ref.name, ""}
		if ref.kind == "Secret" {
			if secrets[at] == nil {
				secrets[at] = map[string]any{}
			}
			secrets[at][ref.key] = standIn
			continue
		}
		if err := r.configMap(ctx, at); err != nil {
			return err
		}
	}
	for at, data := range secrets {
		r.secrets++
		r.objects = append(r.objects, &feed.Object{Content: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": at.namespace, "name": at.name}, "stringData": data,
		}})
	}
	return nil
}

// standIn stands for the content of every Secret. It is never compared with
// anything that somebody sends.
const standIn = "a secret that this program does not read"

func references(v any, namespace string, out *[]reference) {
	switch x := v.(type) {
	case map[string]any:
		for field, kind := range map[string]string{"secretRef": "Secret", "configMapRef": "ConfigMap"} {
			m, _ := x[field].(map[string]any)
			name, _ := m["name"].(string)
			key, _ := m["key"].(string)
			if name != "" {
				*out = append(*out, reference{kind, namespace, name, key})
			}
		}
		for _, e := range x {
			references(e, namespace, out)
		}
	case []any:
		for _, e := range x {
			references(e, namespace, out)
		}
	}
}

func (r *clusterReader) configMap(ctx context.Context, at reference) error {
	ref := at.namespace + "/" + at.name
	if r.seen[ref] {
		return nil
	}
	r.seen[ref] = true
	o, err := r.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(at.namespace).Get(ctx, at.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil // Translation says so of the object that refers to it.
	case apierrors.IsForbidden(err):
		r.unseen = append(r.unseen, "you may not read ConfigMap "+ref+": what takes keys from it is shown as if it were missing")
		return nil
	case err != nil:
		return clusterError("read ConfigMap "+ref, err)
	}
	r.add("v1", "ConfigMap", o, map[string]any{"data": o.Object["data"]})
	return nil
}

// clusterError tells a person what went wrong with the API server: what is
// forbidden stays so, what does not answer may do so again.
func clusterError(what string, err error) error {
	var status apierrors.APIStatus
	var broken *url.Error
	switch {
	case apierrors.IsForbidden(err):
		return usage("%s: you may not: ask for a ClusterRole that permits it, as the chart's auditor and viewer do: %w", what, err)
	case apierrors.IsUnauthorized(err):
		return usage("%s: the cluster does not know you: look at the credentials of your kubeconfig: %w", what, err)
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &broken), errors.Is(err, os.ErrDeadlineExceeded), !errors.As(err, &status), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err),
		apierrors.IsTooManyRequests(err), apierrors.IsInternalError(err), apierrors.IsServiceUnavailable(err):
		return unable("%s: %w", what, err)
	}
	return usage("%s: %w", what, err)
}
