// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// SecretReader is the name of the ClusterRole that a RoleBinding in a namespace
// binds to let its Secrets be read, and of the RoleBinding that is noticed at once.
const SecretReader = "exchequer-secret-reader"

const (
	// maxSecretValue bounds what is kept of one value of a Secret: translation takes
	// client secrets of 4 KiB at most, and keys are smaller than 16 KiB. A namespace
	// may have 10,000 objects, so that it can make us keep 160 MiB at worst.
	maxSecretValue = 16 << 10
	// maxConfigValue is the same for ConfigMaps, which hold key sets of 256 KiB.
	maxConfigValue = 256 << 10
	// readTimeout bounds one read.
	readTimeout = 10 * time.Second
	// patience is how long a Secret that cannot be read holds everything up.
	patience = 10 * time.Second
	// readsAtOnce bounds how many reads run beside each other.
	readsAtOnce = 8
	// accessCheck is how often it is asked whether a namespace may still be read: a
	// watch that was permitted once goes on for minutes after its permission ended.
	// With 200 namespaces these are 14 requests a second, each for one name.
	accessCheck = 15 * time.Second
	// firstCheck is when a namespace that may not be read is asked for again: somebody
	// is perhaps about to permit it. Each wait is twice the one before.
	firstCheck = 2 * time.Second
)

// Data reads the Secrets and ConfigMaps that objects refer to. It watches the
// metadata of those in the namespaces where that happens, and gets only what is
// referred to: the data of no other Secret is ever asked for.
type Data struct {
	api       client.Reader
	meta      metadata.Interface
	namespace string
	account   string
	onChange  func()

	mu     sync.Mutex
	run    context.Context //nolint:containedctx // informers live as long as Start does
	places map[place]*watched
}

// place is the Secrets, or the ConfigMaps, of one namespace.
type place struct {
	source    source
	namespace string
}

// NewData returns a Data that reads with api, which must not be a cache. account is
// the ServiceAccount that a RoleBinding has to name. onChange must not block.
func NewData(api client.Reader, meta metadata.Interface, operatorNamespace, account string, onChange func()) *Data {
	return &Data{api: api, meta: meta, namespace: operatorNamespace, account: account, onChange: onChange, places: map[place]*watched{}}
}

// Start watches until ctx ends.
func (d *Data) Start(ctx context.Context) error {
	d.mu.Lock()
	d.run = ctx
	for _, w := range d.places {
		w.start(ctx)
	}
	d.mu.Unlock()
	<-ctx.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run, d.places = nil, map[place]*watched{}
	return nil
}

// references are what to read: the keys by place and name.
type references map[place]map[string][]string

func (r references) add(namespace string, refs []ref) {
	for _, each := range refs {
		if len(validation.IsDNS1123Subdomain(each.name)) > 0 {
			continue // No object has that name, and the API server must not be asked for it.
		}
		at := place{each.source, namespace}
		if r[at] == nil {
			r[at] = map[string][]string{}
		}
		if !slices.Contains(r[at][each.name], each.key) {
			r[at][each.name] = append(r[at][each.name], each.key)
		}
	}
}

// resolve reads what is referred to into in.
func (d *Data) resolve(ctx context.Context, wanted references, in *translate.Input) error {
	in.Secrets, in.SecretVersions = map[types.NamespacedName]map[string][]byte{}, map[types.NamespacedName]string{}
	in.ConfigMaps, in.ConfigMapVersions = map[types.NamespacedName]map[string]string{}, map[types.NamespacedName]string{}
	in.SecretsDenied, in.ConfigMapsDenied = map[string]string{}, map[string]string{}
	list := d.watch(wanted)
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for _, w := range list {
		group.Go(func() error { return w.read(each, wanted[w.place]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, w := range list {
		if !w.into(in) {
			continue
		}
		denied := in.ConfigMapsDenied
		if w.place.source == secrets {
			denied = in.SecretsDenied
		}
		denied[w.place.namespace] = d.permit(w.place.namespace)
	}
	return nil
}

// watch watches just the places where something is referred to.
func (d *Data) watch(wanted references) []*watched {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at, w := range d.places {
		if _, still := wanted[at]; !still {
			w.end()
			delete(d.places, at)
		}
	}
	var list []*watched
	for at := range wanted {
		w, ok := d.places[at]
		if !ok {
			w = &watched{data: d, place: at, values: map[string]value{}, kick: make(chan struct{}, 1)}
			d.places[at] = w
			if d.run != nil {
				w.start(d.run)
			}
		}
		list = append(list, w)
	}
	return list
}

// permit is the RoleBinding that would let a namespace's Secrets and ConfigMaps be
// read.
func (d *Data) permit(namespace string) string {
	if namespace == d.namespace {
		return "the controller's Role of this namespace lacks get, list and watch of secrets and configmaps: install the chart's RBAC again"
	}
	return fmt.Sprintf("permit it with the RoleBinding {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %s, namespace: %s}, "+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}, subjects: [{kind: ServiceAccount, name: %s, namespace: %s}]}",
		SecretReader, namespace, SecretReader, d.account, d.namespace)
}
