// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// run gathers, translates and publishes everything. An error means that nothing was
// published; what was before goes on.
func (op *Operator) run(ctx context.Context) error {
	start := op.options.Now()
	if op.unlisted != nil {
		if op.unlisted = op.probe(ctx); op.unlisted != nil {
			return op.unlisted
		}
	}
	all, err := op.gatherer.Gather(ctx)
	if err != nil {
		return err
	}
	outdated, err := op.outdated(ctx)
	if err != nil {
		return err
	}
	gathered := op.options.Now()
	var result translate.Result
	if err := guarded("the translation", func() error { result = op.translate(&all.Input); return nil }); err != nil {
		return err
	}
	translated := op.options.Now()
	if outdated != nil {
		op.book.judge(all, &result, nil, outdated, op.extras)
		return errors.New(outdated.Message)
	}
	// What does not compile here compiles nowhere.
	err = guarded("the compilation", func() error {
		_, err := policy.Compile(result.Spec, 0, op.compiler)
		return err
	})
	if err != nil {
		return err // The last good snapshot stays, here and in every replica.
	}
	op.issuers.follow(result.Spec)
	// Keys come before the pointer: whoever reads of a TokenService finds its keys. What
	// is wrong with them stands in its status, and holds nothing else up.
	if err := op.keys.Ensure(ctx, all.Input.Objects.TokenServices, result.Spec); err != nil {
		op.options.Log.ErrorContext(ctx, "signing keys are not as they should be; the present ones go on", "error", err)
	}
	op.metrics.rotations(op.keys.Overdue())
	published, err := op.publish(ctx, &result)
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		published, err = op.publishLess(ctx, &all.Input, &result)
	case err == nil:
		op.metrics.crowded(nil)
	}
	var held *status.Held
	if errors.Is(err, wire.ErrTooLarge) {
		held = &status.Held{Reason: v1alpha1.ReasonSnapshotTooLarge, Message: "what is cluster-scoped or of the operator's namespace does not fit a snapshot, so that nothing new is published: delete what is not needed"}
	}
	if err == nil {
		op.book.judge(all, &result, &published, nil, op.extras)
	} else {
		op.book.judge(all, &result, nil, held, op.extras)
	}
	op.metrics.judged(result.Statuses)
	op.metrics.ran(gathered.Sub(start), translated.Sub(gathered), op.options.Now().Sub(start))
	return err
}

func (op *Operator) publish(ctx context.Context, result *translate.Result) (publish.Published, error) {
	spec := result.Spec
	if format, ok := wire.ChooseFormat(op.ears.formats); ok {
		spec.Format = format
	} else {
		op.options.Log.WarnContext(ctx, "a replica that serves cannot read the format that this controller writes; it keeps the last snapshot that it could read")
	}
	if !op.ensured || !maps.EqualFunc(op.presented, result.Credentials, bytes.Equal) {
		if err := op.publisher.Credentials(ctx, result.Credentials); err != nil {
			return publish.Published{}, err
		}
		op.ensured, op.presented = true, result.Credentials
	}
	out, err := op.publisher.Publish(ctx, spec, op.ears.floor)
	if err == nil {
		op.format = spec.Format
		op.metrics.published(&out)
		if out.Moved {
			op.written.Add(uint64(out.Bytes))
			op.options.Log.InfoContext(ctx, "published", "revision", out.Revision, "bytes", out.Bytes)
		}
	}
	return out, err
}

// publishLess publishes without the namespaces that take the most room, since what
// others withdraw must not have to wait for them. Result becomes what is published.
// They are chosen anew from everything at each run: which they are hangs on nothing
// else.
func (op *Operator) publishLess(ctx context.Context, in *translate.Input, result *translate.Result) (publish.Published, error) {
	in.Crowded = nil
	defer func() { in.Crowded = nil }()
	for {
		more, err := wire.Excess(result.Spec, op.options.Namespace)
		if err != nil {
			return publish.Published{}, err
		}
		if len(more) == 0 {
			return publish.Published{}, wire.ErrTooLarge // It fits, but not beside what is published.
		}
		in.Crowded = append(in.Crowded, more...)
		op.options.Log.ErrorContext(ctx, "the whole policy does not fit a snapshot; it is published without the namespaces that take the most room", "namespaces", in.Crowded)
		err = guarded("the translation without the largest namespaces", func() error {
			*result = op.translate(in)
			_, err := policy.Compile(result.Spec, 0, op.compiler)
			return err
		})
		if err != nil {
			return publish.Published{}, err
		}
		// What is left may take more room than before: a name that was released is
		// somebody else's now. Each round leaves out one namespace more at least.
		out, err := op.publish(ctx, result)
		if err == nil {
			op.metrics.crowded(in.Crowded)
		}
		if !errors.Is(err, wire.ErrTooLarge) {
			return out, err
		}
	}
}

func (op *Operator) translate(in *translate.Input) translate.Result {
	in.Now, in.Compiler, in.Check, in.CheckKeySet, in.CheckBundle, in.KeyStatus = op.options.Now().UTC(), op.compiler, op.compiler.Check, jose.CheckKeySet, jose.CheckBundle, op.issuers.keyStatus
	in.Verdicts = op.verdicts
	in.LocalCluster = op.issuers.localCluster()
	return translate.Translate(*in)
}

// outdated says whether the CRDs are older than this controller. What an older
// schema does not know is pruned, and may have narrowed. It asks the API server, and
// after everything was gathered: a cache could learn of an older schema later than of
// the objects that were pruned by it.
func (op *Operator) outdated(ctx context.Context) (*status.Held, error) {
	names := plurals()
	have := make([]int, len(names))
	group, each := errgroup.WithContext(ctx)
	for i, plural := range names {
		group.Go(func() error {
			crd := gather.Metadata(gather.CRDGVK())
			name := plural + "." + v1alpha1.Group
			if err := op.api.Get(each, client.ObjectKey{Name: name}, crd); err != nil {
				return fmt.Errorf("read CRD %s: %w", name, err)
			}
			have[i] = schemaOf(crd)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, plural := range names {
		if have[i] < v1alpha1.SchemaRevision {
			return &status.Held{
				Reason: v1alpha1.ReasonCRDOutdated,
				Message: fmt.Sprintf("CRD %s.%s has schema %d and this controller needs %d, so that nothing new is published: apply the CRDs of this controller's version",
					plural, v1alpha1.Group, have[i], v1alpha1.SchemaRevision),
			}, nil
		}
	}
	return nil, nil //nolint:nilnil // none is outdated
}

func schemaOf(crd *metav1.PartialObjectMetadata) int {
	n, err := strconv.Atoi(crd.Annotations[v1alpha1.SchemaAnnotation])
	if err != nil {
		return 0
	}
	return n
}

// probe asks whether every kind may still be listed. A watch that was permitted once
// goes on for minutes after its permission ended, and tells nothing.
func (op *Operator) probe(ctx context.Context) error {
	group, each := errgroup.WithContext(ctx)
	for _, kind := range gather.Kinds() {
		group.Go(func() error {
			list := &metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(gather.GVK(kind + "List"))
			if err := op.api.List(each, list, client.Limit(1)); err != nil {
				return fmt.Errorf("list %s: %w", kind, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// plurals are the names of our resources.
func plurals() []string {
	return []string{
		"tokenservices", "trustedissuers", "exchangeclients", "clientscopes", "exchangepolicies",
		"impersonationgrants", "externaltargets", "tokenrevocations", "exchangerreplicas",
	}
}

// hold notes since when nothing is published, for the metric that alerts.
func (op *Operator) hold(err error) {
	if err == nil {
		op.since.Store(0)
	} else {
		op.since.CompareAndSwap(0, op.options.Now().UnixNano())
	}
}

// blocked is how long nothing could be published. A controller that cannot list
// everything is held back, whether it leads or not.
func (op *Operator) blocked() time.Duration {
	since := op.since.Load()
	switch {
	case since != 0:
		return op.options.Now().Sub(time.Unix(0, since))
	case op.idle():
		return op.health.Behind()
	}
	return 0
}
