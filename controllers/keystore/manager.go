// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// tokenSlack is what retired keys stay published beyond the longest token: clocks
// differ by up to a minute, and a replica that is cut off from the API server does
// not hear that its key has retired and signs on with it, for at most its
// --max-snapshot-age, 24 hours by default.
const tokenSlack = 24*time.Hour + time.Minute

// Options are what a Manager works with.
type Options struct {
	// Client reads and writes Secrets and lists TokenServices. It must not read
	// from a cache.
	Client client.Client
	// Namespace is the operator's.
	Namespace string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// OnChange is called when a signer has answered something new, so that Ensure
	// is worth calling.
	OnChange func()
	// Log may be nil.
	Log *slog.Logger
}

// Manager makes the keys of every TokenService follow its manifest.
type Manager struct {
	options Options
	store   *Store
	ring    *keys.Ring
	signers signers

	// done is what the last Ensure of each TokenService was about.
	done map[string]done
	// plans are what the keys of each TokenService should follow, and hung since when
	// its Active key has been due, as far as that was seen here.
	plans map[string]keys.Plan
	hung  map[string]hung
	// swept is when it was last looked for keys to delete, and for which objects.
	swept  time.Time
	sweeps map[string]v1alpha1.KeyRetention

	mu   sync.Mutex // guards errs
	errs map[string]error
}

// done is an Ensure that ended well. The same is not asked of the API server again
// within fresh: policies change many times a second, keys do not.
type done struct {
	service policy.Service
	signing v1alpha1.Signing
	answers uint64
	at      time.Time
}

// hung is an Active key that is due.
type hung struct {
	keyID string
	since time.Time
}

const fresh = 20 * time.Second

func (m *Manager) recent(at time.Time) bool {
	age := m.options.Now().Sub(at)
	return age >= 0 && age < fresh
}

// NewManager returns a Manager; it does nothing before Ensure and Start.
func NewManager(o Options) *Manager {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnChange == nil {
		o.OnChange = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	store := New(o.Client, o.Namespace)
	return &Manager{options: o, store: store, ring: keys.Open(store), done: map[string]done{}, plans: map[string]keys.Plan{}, hung: map[string]hung{}, errs: map[string]error{}}
}

// Ring has the keys.
func (m *Manager) Ring() *keys.Ring { return m.ring }

// Ensure makes the keys of the TokenServices in force, which are those of spec,
// follow their manifests, and deletes those that are to go with a TokenService that
// is gone. Call it with every change and about once a minute, from one goroutine,
// with everything that was listed and never with part of it. It waits for nobody
// but the API server. One TokenService's trouble is not the others'; Condition
// tells it.
func (m *Manager) Ensure(ctx context.Context, objects []v1alpha1.TokenService, spec *policy.Spec) error {
	byName := make(map[string]*v1alpha1.TokenService, len(objects))
	for i := range objects {
		byName[objects[i].Name] = &objects[i]
	}
	errs := map[string]error{}
	wanted := m.signers.wanted()
	maps.DeleteFunc(wanted, func(name string, _ source) bool { return byName[name] == nil })
	for i := range spec.Services {
		s := &spec.Services[i]
		if o := byName[s.Name]; o != nil {
			this := done{*s, o.Spec.Signing, m.signers.heardSoFar(), m.options.Now()}
			if last, ok := m.done[s.Name]; ok && m.recent(last.at) && last.same(&this) {
				errs[s.Name] = nil
				continue
			}
			delete(m.done, s.Name)
			delete(wanted, s.Name)
			if errs[s.Name] = m.ensure(ctx, o, s, wanted); errs[s.Name] == nil {
				m.done[s.Name] = this
			}
		}
	}
	maps.DeleteFunc(m.plans, func(name string, _ keys.Plan) bool { _, there := errs[name]; return !there })
	m.signers.want(wanted, m.options.Now())
	err := m.sweep(ctx, byName)
	m.mu.Lock()
	m.errs = errs
	m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		if errs[name] != nil {
			err = errors.Join(err, fmt.Errorf("keys of TokenService %s: %w", name, errs[name]))
		}
	}
	return err
}

func (d *done) same(other *done) bool {
	return d.answers == other.answers && reflect.DeepEqual(d.signing, other.signing) && reflect.DeepEqual(d.service, other.service)
}

// ensure is Ensure for one TokenService. When the given key is not to be had, what
// is there goes on; revocation and retirement do not wait for it.
func (m *Manager) ensure(ctx context.Context, o *v1alpha1.TokenService, s *policy.Service, wanted map[string]source) error {
	plan := keys.Plan{
		Algorithm: s.Algorithm, RotateAfter: s.Rotation.RotateAfter, RevokedKeyIDs: s.RevokedKeyIDs, Retain: s.KeysOutlive() + tokenSlack,
		Rotation: keys.Rotation{Period: s.Rotation.Period, PrePublish: s.Rotation.PrePublish},
	}
	err := m.given(ctx, &plan, o, wanted)
	m.plans[s.Name] = plan
	return errors.Join(err, m.ring.Ensure(s.Name, plan, m.options.Now()))
}

// sweep deletes the keys of TokenServices that are gone and wanted it so. That an
// object is not among the ones that were listed is not enough: the list of a cache
// can lack what is there.
func (m *Manager) sweep(ctx context.Context, byName map[string]*v1alpha1.TokenService) (err error) {
	retention := make(map[string]v1alpha1.KeyRetention, len(byName))
	for name, o := range byName {
		retention[name] = o.Spec.Signing.KeyRetention
	}
	if m.recent(m.swept) && maps.Equal(retention, m.sweeps) {
		return nil
	}
	services, before, err := m.store.stored(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			m.swept, m.sweeps = m.options.Now(), retention
		}
	}()
	var withService, gone []string
	for _, name := range services {
		switch o := byName[name]; {
		case o == nil && slices.Contains(before, name):
			gone = append(gone, name)
		case o != nil && o.Spec.Signing.KeyRetention == v1alpha1.KeyRetentionDelete:
			withService = append(withService, name)
		}
	}
	if len(gone) > 0 {
		there, err := m.listed(ctx)
		if err != nil {
			return err
		}
		for _, name := range gone {
			if there[name] {
				withService = append(withService, name)
			}
		}
		gone = slices.DeleteFunc(gone, func(name string) bool { return there[name] })
	}
	slices.Sort(before)
	slices.Sort(withService)
	if len(gone) == 0 && slices.Equal(before, withService) {
		return nil
	}
	if err := m.store.settle(withService, gone); err != nil {
		return err
	}
	for _, name := range gone {
		m.ring.Forget(name)
		delete(m.done, name)
		m.options.Log.InfoContext(ctx, "signing keys were deleted with their TokenService", "tokenService", name)
	}
	return nil
}

// listed asks the API server itself which TokenServices there are. With the CRD
// gone that is an error, so that nothing is deleted then.
func (m *Manager) listed(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TokenServiceList"))
	if err := m.options.Client.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list TokenServices: %w", err)
	}
	there := map[string]bool{}
	for i := range list.Items {
		there[list.Items[i].Name] = true
	}
	return there, nil
}
