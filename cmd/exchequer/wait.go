// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
)

// What wait can wait for.
const (
	forProgrammed = "programmed"
	forReady      = "ready"
	forGone       = "gone"
)

func newWaitCommand() *cobra.Command {
	what := ui.NewFormat(forProgrammed, forReady, forGone)
	var api clusterFlags
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait KIND/NAMESPACE/NAME",
		Short: "Wait until an object is in force on every replica, or gone",
		Long: `Wait until an object of a cluster is in force, or gone.

programmed waits until every serving replica works by this generation of the
object: the condition Programmed is True, and about the generation that is there.
It says nothing of the verdict: that a policy is refused is in force everywhere,
too. ready waits until it is valid, resolved and in force. gone waits until there
is no such object.

The kind may be its name, its plural or its short name; kinds without namespace
are KIND/NAME. After two seconds it is said on standard error what is waited for,
and at the end of the time which condition is missing, and why.

Exit codes: 0 it is so; 1 it was not so in time; 2 wrong usage, or the cluster
says that you may not look; 3 the cluster does not answer.`,
		Example: `  exchequer wait ExchangePolicy/media/frontend-gets-images
  exchequer wait --for ready xti/corp --timeout 2m
  exchequer wait --for gone xp/media/frontend-gets-images`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			object, err := parseObject(args[0])
			if err != nil {
				return usage("%w", err)
			}
			if timeout <= 0 {
				return usage("--timeout: expected a time that is longer than nothing")
			}
			config, err := api.config()
			if err != nil {
				return err
			}
			client, err := dynamic.NewForConfig(config)
			if err != nil {
				return usage("find the cluster: %w", err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			resource := client.Resource(v1alpha1.GroupVersion.WithResource(object.plural))
			w := &waiter{object: object, what: what.String(), errs: c.ErrOrStderr(), resource: resource, start: time.Now()}
			if object.namespaced {
				w.resource = resource.Namespace(object.namespace)
			}
			if err := w.wait(ctx, c.Context()); err != nil {
				return err
			}
			s := ui.NewScreen(c.OutOrStdout(), noColor)
			s.Line(s.Paint(ui.Good, "✓ "), ui.Safe(object.String()+" is "+what.String()))
			return nil
		},
	}
	c.Flags().Var(what, "for", "what to wait for")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait")
	api.register(c)
	return c
}

// waiter waits for one object.
type waiter struct {
	object   objectName
	what     string
	errs     io.Writer
	resource dynamic.ResourceInterface
	start    time.Time
	// last is the state that was seen last, nil when the object was not there; told
	// is what was said of it.
	last *unstructured.Unstructured
	told string
	// looked says that the cluster answered once; failed is the last failure to look,
	// while there is one.
	looked bool
	failed error
}

// silence is how long nothing is said.
const silence = 2 * time.Second

// retry is how long a watch that ended rests before the next: an API server that
// restarts is asked every second, not more.
const retry = time.Second

// wait watches until it is so, or ctx is over. caller is over when the person
// stops waiting.
func (w *waiter) wait(ctx, caller context.Context) error {
	for {
		done, err := w.look(ctx)
		switch {
		case done:
			return nil
		case ctx.Err() != nil && w.looked:
			err = nil // The time was over while it looked once more.
		case ctx.Err() != nil:
		case err != nil && !worthRetrying(err):
			return clusterError("look at "+w.object.String(), err)
		}
		w.failed = err
		w.tell()
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return w.late(caller)
		case <-timer.C:
		}
	}
}

// worthRetrying says whether an error can go away while somebody waits.
func worthRetrying(err error) bool {
	return !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) && !apierrors.IsNotFound(err) && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err)
}

// look reads the object and watches it until it is as wanted, or the watch ends.
func (w *waiter) look(ctx context.Context) (done bool, err error) {
	one := metav1.ListOptions{FieldSelector: "metadata.name=" + w.object.name}
	list, err := w.resource.List(ctx, one)
	if err != nil {
		return false, err
	}
	w.last, w.failed, w.looked = nil, nil, true
	if len(list.Items) > 0 {
		w.last = &list.Items[0]
	}
	if w.so() {
		return true, nil
	}
	one.ResourceVersion = list.GetResourceVersion()
	events, err := w.resource.Watch(ctx, one)
	if err != nil {
		return false, err
	}
	defer events.Stop()
	return w.follow(ctx, events), nil
}

// follow goes by what the watch says until it ends.
func (w *waiter) follow(ctx context.Context, events watch.Interface) bool {
	patience := time.NewTimer(time.Until(w.start.Add(silence)))
	defer patience.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-patience.C:
			w.tell()
		case e, open := <-events.ResultChan():
			if !open || e.Type == watch.Error {
				return false
			}
			w.last, _ = e.Object.(*unstructured.Unstructured)
			if e.Type == watch.Deleted {
				w.last = nil
			}
			if w.so() {
				return true
			}
			w.tell()
		}
	}
}

// so says whether it is as wanted.
func (w *waiter) so() bool {
	switch w.what {
	case forGone:
		return w.last == nil
	case forReady:
		return w.last != nil && isTrue(w.last, v1alpha1.ConditionReady)
	}
	return w.last != nil && isTrue(w.last, v1alpha1.ConditionProgrammed)
}

// tell says what is waited for, once for each state, and not in the first two
// seconds.
func (w *waiter) tell() {
	if time.Since(w.start) < silence {
		return
	}
	if text := w.state(); text != w.told {
		w.told = text
		fmt.Fprintln(w.errs, ui.Safe("waiting for "+w.object.String()+" to be "+w.what+": "+text))
	}
}

// late is the answer when the time is over.
func (w *waiter) late(caller context.Context) error {
	if caller.Err() != nil {
		return caller.Err()
	}
	passed := time.Since(w.start).Round(time.Second)
	if w.failed != nil && worthRetrying(w.failed) {
		return unable("%s: the cluster does not answer, after %s: %w", w.object, passed, w.failed)
	}
	return &outcome{code: exitNo, err: fmt.Errorf("%s is not %s after %s: %s", w.object, w.what, passed, w.state())}
}
